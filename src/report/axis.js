// Scales and their ticks.

const superscript = (n) => String(n).replace(/[-0-9]/g, (c) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(c)]);

// A round number, without needless zeros.
const tickNumber = (x) => {
  const plain = x === 0 || (Math.abs(x) >= 1e-3 && Math.abs(x) < 1e6);
  return (plain ? String(Number(x.toPrecision(6))) : String(Number(x.toPrecision(3)).toExponential())).replace(/-/g, '−').replace('e+', 'e');
};

// An axis around values: `place` maps a value to 0..1, NaN where it cannot be shown.
const axisAround = (values, log, most, counts) => {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (log) {
    const pad = high > low ? (high / low) ** 0.04 : 2;
    low /= pad;
    high *= pad;
    const place = (x) => (x > 0 ? Math.log(x / low) / Math.log(high / low) : NaN);
    return { place, ticks: logTicks(low, high, values, most, counts) };
  }
  const pad = high > low ? 0.04 * (high - low) : 0.5 * (Math.abs(high) || 1);
  low -= pad;
  high += pad;
  return { place: (x) => (x - low) / (high - low), ticks: linearTicks(low, high, most) };
};

const linearTicks = (low, high, most) => {
  const least = (high - low) / most;
  const unit = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= least * 0.999) || 10 * unit;
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k += 1) {
    const at = Number((k * step).toPrecision(12));
    ticks.push({ at, label: tickNumber(at) });
  }
  return ticks;
};

const logTicks = (low, high, values, most, counts) => {
  const inside = (x) => x >= low && x <= high;
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  if (counts && distinct.length <= most) return distinct.map((at) => ({ at, label: tickNumber(at) }));
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  const decades = Array.from({ length: to - from + 1 }, (_, k) => from + k);
  const whole = decades.filter((k) => inside(10 ** k));
  if (whole.length < 2 || counts) {
    const of = (mantissas) => decades.flatMap((k) => mantissas.map((m) => Number(`${m}e${k}`))).filter(inside);
    const fits = [[1, 2, 5], [1, 3], [1]].map(of).find((list) => list.length <= most) || of([1]);
    return fits.map((at) => ({ at, label: tickNumber(at) }));
  }
  const every = Math.ceil(whole.length / most);
  return whole.filter((k) => k % every === 0).map((k) => ({ at: Number(`1e${k}`), label: k === 0 || k === 1 ? String(10 ** k) : `10${superscript(k)}` }));
};
