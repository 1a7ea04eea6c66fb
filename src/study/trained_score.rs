mod network; mod train;
use crate::data::*; use crate::schedule::*; use crate::batch::Batch; use crate::state::State; use crate::noise::*; use crate::run::Denoiser;
use network::*;
pub fn probe() {
    let args: Vec<usize> = std::env::args().skip(2).map(|x| x.parse().unwrap()).collect();
    let which = std::env::args().nth(1).unwrap();
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let data = match &which[..] {
        "ring" => Data::Mixture(preset::Ring::default().mixture().unwrap()),
        "two" => Data::Mixture(preset::TwoMode{}.mixture().unwrap()),
        _ => Data::Gaussian(Gaussian::new(vec![0.0,1.0,-0.5,0.0,0.3], vec![1.0,0.25,4.0,0.01,0.1]).unwrap()),
    };
    let dim = data.dim();
    let spread = (data.second_moment(&CLEAN)/dim as f64).sqrt();
    let range = (schedule.at(1.0).lambda(), schedule.at(1e-3).lambda());
    let senses = Senses{dim, spread, range};
    for form in [Form::Noise, Form::Data, Form::Preconditioned] {
        let now = std::time::Instant::now();
        let net = train::train(&train::Recipe{data:&data, schedule:&schedule, form, senses, width: args[0], hidden: args[1], steps: args[2], batch: args[3], rate: args[4] as f64*1e-4, seed: 1});
        println!("{form:?} trained {:?}", now.elapsed());
        let now = std::time::Instant::now();
        let mut sum = 0.0;
        for k in 0..12 {
            let at = schedule.at_lambda(range.0 + (range.1-range.0)*k as f64/11.0);
            let x: Batch<f64> = data.sample(&at, 7, Purpose::Reference, 0, 20000);
            let x = State(x);
            let e = net.eps(&x, &at); let s = data.model::<f64>().eps(&x, &at);
            let (mut q, mut n) = (0.0, 0.0);
            for (a,b) in e.0.to_rows().iter().zip(s.0.to_rows()) { q += (a-b)*(a-b); n += b*b; }
            print!("{:.1}: {:.2e} ({:.2e}) ", at.lambda(), q/20000.0/dim as f64, n/20000.0/dim as f64);
            sum += q/20000.0*(range.1-range.0)/12.0;
        }
        println!("\n  KL bound {sum:.3e}; {:?}", now.elapsed());
    }
}
