//! Output laws of shipped schedulers, and the multistep solvers of ours that have them: what diffusers 0.42.1 and
//! k-diffusion 0.1.1.post1 make of N(1, 1/4) and N(-1/2, 4) in 5 steps. `fixtures/README.md` says how such numbers are made.

mod common;

use scorebench::data::{Gaussian, Moments};
use scorebench::law::{Init, law};
use scorebench::schedule::Level;

/// Karras with rho = 7.
const KARRAS: &[f64] =
    &[80.0, 17.52783196464411, 2.515218976147159, 0.16975275626876413, 0.002000000000000003];

/// The same and 0.
const KARRAS_ZERO: &[f64] =
    &[80.0, 17.52783196464411, 2.515218976147159, 0.16975275626876413, 0.002000000000000003, 0.0];

/// Uniform in lambda over the table and 0.
const LU: &[f64] = &[
    157.40728081040763,
    14.053161634984136,
    1.254651950800563,
    0.11201404769507126,
    0.010000500037502566,
    0.0,
];

/// Default of the multistep family.
const LINSPACE_ZERO: &[f64] =
    &[157.40728081040757, 25.528481389204856, 6.135208879028882, 2.0410870026144945, 0.7235912594303969, 0.0];

/// The same, to the first entry of the table.
const LINSPACE: &[f64] = &[
    157.40728081040757,
    25.528481389204856,
    6.135208879028882,
    2.0410870026144945,
    0.7235912594303969,
    0.010000500037502575,
];

/// Of PNDM: the last entry twice.
const LEADING: &[f64] = &[
    25.735979682332655,
    6.173505157840788,
    2.0410870026144945,
    0.7235912594303969,
    0.010000500037502575,
    0.010000500037502575,
];

/// Of PNDM with set_alpha_to_one.
const LEADING_ZERO: &[f64] = &[
    25.735979682332655,
    6.173505157840788,
    2.0410870026144945,
    0.7235912594303969,
    0.010000500037502575,
    0.0,
];

/// Karras between the ends of the table.
const TABLE_KARRAS: &[f64] = &[
    157.40728081040749,
    36.90895160563345,
    5.911208764768033,
    0.4913011708241883,
    0.010000500037502566,
    0.0,
];

/// Of IPNDM: from alpha = 0.
const SINE: &[f64] =
    &[f64::INFINITY, 2.1209910195184323, 0.8656894061959897, 0.3681622422052145, 0.09592987884495227, 0.0];

/// Configuration, our solver, kappa at the levels, standard deviation of the centred start, calls, (mean, variance) out.
type Shipped = (u32, &'static str, &'static [f64], f64, usize, [[f64; 2]; 2]);

/// k-diffusion's configurations 22 to 50, then diffusers'.
const SHIPPED: &[Shipped] = &[
    (
        22,
        "lms",
        KARRAS,
        80.0,
        4,
        [[0.9969275464881149, 0.06041581172924935], [-0.4922577984021553, 1.5345071508907138]],
    ),
    (
        23,
        "lms, order = 2",
        KARRAS_ZERO,
        80.0,
        5,
        [[0.9969519086015607, 0.059461511508734216], [-0.49233959233168206, 1.5022552485075225]],
    ),
    (
        26,
        "lms, order = 3",
        KARRAS,
        80.0,
        4,
        [[0.9969294009889477, 0.06034290103472362], [-0.49225843877421677, 1.5342533174412902]],
    ),
    (
        50,
        "dpmpp-3m, d2 = \"shipped\", solver_type = \"heun\"",
        KARRAS,
        80.0,
        4,
        [[0.9894125442064722, 0.7174030091513974], [-0.47158782586897036, 20.665641954609683]],
    ),
    (
        19,
        "dpmpp-2m, lower_order_final = true",
        LU,
        1.0,
        5,
        [[0.997457865402837, 0.16012688061166894], [-0.4942546810326724, 3.271564159571342]],
    ),
    (
        20,
        "dpmpp-2m, solver_type = \"heun\"",
        LINSPACE_ZERO,
        1.0,
        5,
        [[0.9982727361889897, 0.07392383837448739], [-0.4943420367841665, 3.1728342980537363]],
    ),
    (
        22,
        "dpmpp-2m, form = \"eps\", lower_order_final = true",
        LINSPACE,
        1.0,
        5,
        [[0.9981878741452098, 0.0769379112376403], [-0.49457638670515247, 2.8886271674532296]],
    ),
    (
        21,
        "dpmpp-3m, d2 = \"shipped\", lower_order_final = true",
        LINSPACE_ZERO,
        1.0,
        5,
        [[0.9982776026031206, 0.07350787732000763], [-0.4943133314680085, 3.205110311656816]],
    ),
    (
        232,
        "dpmpp-3m, d2 = \"shipped\", form = \"eps\", lower_order_final = true",
        LINSPACE,
        1.0,
        5,
        [[0.9981874890252027, 0.07697154514384039], [-0.494539964749053, 2.9277351228568227]],
    ),
    (
        32,
        "unipc, variant = \"bh1\", lower_order_final = true",
        LINSPACE,
        1.0,
        5,
        [[0.9981316118811775, 0.08192939238536341], [-0.4936813417655755, 3.9258470656120252]],
    ),
    (
        33,
        "unipc, order = 3, lower_order_final = true",
        LINSPACE_ZERO,
        1.0,
        5,
        [[0.9982643647916076, 0.07464213685263486], [-0.49409255436159366, 3.45880931550926]],
    ),
    (
        309,
        "unipc, order = 3, form = \"eps\", lower_order_final = true",
        LINSPACE,
        1.0,
        5,
        [[0.9978076374924388, 0.11372411683487443], [-0.4933886989484123, 4.299423497097723]],
    ),
    (
        314,
        "unipc, lower_order_final = true, disable_corrector = [0]",
        LINSPACE_ZERO,
        1.0,
        5,
        [[0.9982647688029993, 0.07460739134431181], [-0.4942382545319917, 3.2902984286329957]],
    ),
    (
        313,
        "unip, order = 3, lower_order_final = true",
        LINSPACE_ZERO,
        1.0,
        5,
        [[0.9982768427779718, 0.07357274673232224], [-0.49428357994249383, 3.2387350481634467]],
    ),
    (
        34,
        "deis, variant = \"log-rho\", order = 2, lower_order_final = true",
        LINSPACE,
        1.0,
        5,
        [[0.9981960392054541, 0.07622655717734599], [-0.4946921884876506, 2.766032513125031]],
    ),
    (
        35,
        "deis, variant = \"log-rho\", lower_order_final = true",
        LINSPACE,
        1.0,
        5,
        [[0.998194839634222, 0.07633085884613142], [-0.4946105881802059, 2.852142844416313]],
    ),
    (
        36,
        "pndm",
        LEADING,
        1.0,
        14,
        [[0.9840667351710127, 0.16734629362599934], [-0.4573056072714506, 4.830916319663104]],
    ),
    (
        37,
        "plms",
        LEADING,
        1.0,
        6,
        [[0.9846415872830275, 0.1554521975793575], [-0.4615333613085324, 3.921031889119754]],
    ),
    (
        38,
        "plms",
        LEADING_ZERO,
        1.0,
        6,
        [[0.9843625295851082, 0.16220700824705575], [-0.4615137528462173, 3.9301373877896015]],
    ),
    (
        40,
        "lms",
        TABLE_KARRAS,
        157.40728081040749,
        5,
        [[0.9981664953009761, 0.08329399411491549], [-0.4965909297957823, 1.1518117758634532]],
    ),
    (
        45,
        "dpmpp-3m, d2 = \"shipped\", lower_order_final = true",
        KARRAS_ZERO,
        80.00624975587844,
        5,
        [[0.9930684348754083, 0.30754625508438455], [-0.4774922993096346, 12.970899099758647]],
    ),
    (
        51,
        "ipndm",
        SINE,
        1.0,
        5,
        [[0.8985853436639678, 0.2542173775023826], [-0.23276624602832724, 2.5387541451661813]],
    ),
];

#[test]
fn shipped_multistep_schedulers_are_our_solvers() {
    let data = Gaussian::new(vec![1.0, -0.5], vec![0.25, 4.0]).unwrap();
    for (id, text, kappa, init, calls, want) in SHIPPED {
        // VE coordinates have alpha = 1; of the variance-preserving schedules only PNDM reads the time.
        let schedule = common::schedule(match *init {
            1.0 if kappa[0].is_infinite() => "vp-cosine",
            1.0 => "ddpm-discrete",
            _ => "edm",
        });
        let grid: Vec<Level> = kappa.iter().map(|k| schedule.at_kappa(*k)).collect();
        let ours = law(&common::solver(text), &data, &schedule, &grid, Init::Marginal).expect(text);
        assert_eq!(ours.nfe, *calls, "{id} {text}");
        let start = Moments { mean: vec![0.0; 2], std: vec![*init; 2] };
        let ours = ours.restarted(&data.marginal(&grid[0]), &start);
        for (k, [mean, variance]) in want.iter().enumerate() {
            let off = ((ours.mean[k] - mean) / mean).abs().max((ours.std[k].powi(2) / variance - 1.0).abs());
            assert!(off < 1e-9, "{id} {text}: off by {off:e}");
        }
    }
}
