// The interactive plot: one error of chosen solvers against steps or calls.

const NOT_ERRORS = ['steps', 'nfe', 'draws', 'floor', 'pilot_nfe', 'worst_mode'];
const PLACE = ['data', 'schedule', 'grid', 'init', 'mode'];
// Half a bar, in standard errors: as in the static figures.
const WIDE = 2;

// Rows as points: [{ place, solver, steps, nfe, metric, value, stderr }], whichever table they are of.
const pointsOf = ({ head, rows }) => {
  const column = Object.fromEntries(head.map((name, k) => [name, k]));
  const long = 'metric' in column;
  const errors = head.slice(column.draws + 1, column.key).filter(
    (name) => !NOT_ERRORS.includes(name) && name !== 'error' && name !== 'mode');
  const points = [];
  let failed = 0;
  for (const row of rows) {
    const cell = (name) => row[column[name]];
    if (cell('error') !== '' && (!long || cell('metric') === '')) failed += 1;
    // Whether norms were answered by their expectation is the solver's, not the problem's.
    const mode = cell('mode').replace(/ ?mean-field$/, '').replace(/^exact$/, '');
    const place = PLACE.map((name) => (name === 'mode' ? mode : cell(name)));
    const point = { place, solver: cell('solver'), steps: numberOf(cell('steps')), nfe: numberOf(cell('nfe')) };
    if (long) {
      const [value, stderr] = [numberOf(cell('value')), numberOf(cell('stderr'))];
      if (Number.isFinite(value)) points.push({ ...point, metric: cell('metric'), value, stderr });
      continue;
    }
    for (const metric of errors) {
      const value = numberOf(cell(metric));
      if (Number.isFinite(value)) points.push({ ...point, metric, value, stderr: NaN });
    }
  }
  return { points, failed };
};

const buildPlot = (host, entry) => {
  const table = entry.tables.find((t) => t.errors);
  const { points, failed } = pointsOf(parseCsv(fileText(table.element)));
  const distinct = (list) => [...new Set(list)];
  const solvers = distinct(points.map((p) => p.solver));
  const metrics = distinct(points.map((p) => p.metric)).filter((m) => points.some((p) => p.metric === m && p.value !== 0));
  const places = [...new Map(points.map((p) => [p.place.join('\n'), p.place])).values()];
  const differs = PLACE.map((_, k) => distinct(places.map((p) => p[k])).length > 1);
  const placeName = (place) => place.filter((label, k) => differs[k] && label).join(' · ') || place[0];
  if (!points.length) {
    host.replaceChildren(el('p', { class: 'note' }, 'No run has a finite result: there is nothing to draw.'));
    return;
  }

  const shown = new Map(); // solver: slot of its look
  const slots = new Map(); // what it had before it was hidden
  const show = (solver) => {
    const taken = new Set(shown.values());
    let slot = slots.get(solver);
    if (slot === undefined || taken.has(slot)) for (slot = 0; taken.has(slot); slot += 1);
    slots.set(solver, slot);
    shown.set(solver, slot);
  };
  solvers.filter((s) => solvers.length <= LOOKS || entry.first.includes(s)).forEach(show);

  const option = (value, text) => el('option', { value }, text);
  const select = (label, options) => el('select', { 'aria-label': label, onchange: () => draw() }, ...options);
  const metric = select('Error', metrics.map((m) => option(m, m)));
  metric.value = metrics.includes(entry.metric) ? entry.metric : metrics[0];
  const against = select('Against', [option('steps', 'steps'), option('nfe', 'model calls')]);
  const panel = select('Panel', places.map((p, k) => option(k, placeName(p))));
  const check = (label, name) => {
    const box = el('input', { type: 'checkbox', name, checked: true, onchange: () => draw() });
    return { box, label: el('label', {}, box, ` ${label}`) };
  };
  const [logX, logY] = [check('log x', 'log-x'), check('log y', 'log-y')];
  const field = (text, control) => el('label', { class: 'field' }, `${text} `, control);
  const controls = el('div', { class: 'controls' }, field('error', metric), field('against', against),
    places.length > 1 ? field('panel', panel) : '', logX.label, logY.label);

  const canvas = sv('svg', { class: 'plot', tabindex: 0, role: 'application', 'aria-roledescription': 'plot' });
  const tip = el('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  const said = el('p', { class: 'said', role: 'status', 'aria-live': 'polite' });
  const note = el('p', { class: 'note' });
  const frame = el('div', { class: 'frame' }, canvas, tip);
  const legend = buildLegend(solvers, shown, show, () => draw());
  host.replaceChildren(controls, el('div', { class: 'plot-and-legend' },
    el('div', { class: 'plot-side' }, frame, said, note), legend.element));

  let marks = []; // curves of places on the canvas: [{ solver, at: [{ x, y, point }] }]
  let current = null;
  const ring = sv('path', { class: 'ring' });

  const draw = () => {
    const width = Math.max(300, frame.clientWidth || 800);
    const height = Math.round(Math.max(300, Math.min(480, 0.6 * width)));
    const box = { left: 62, right: 14, top: 14, bottom: 46 };
    const [inner, tall] = [width - box.left - box.right, height - box.top - box.bottom];
    const place = places[panel.value].join('\n');
    const x = (p) => p[against.value];
    const here = points.filter((p) => p.metric === metric.value && p.place.join('\n') === place && shown.has(p.solver)
      && Number.isFinite(x(p)));
    const drawable = here.filter((p) => (!logX.box.checked || x(p) > 0) && (!logY.box.checked || p.value > 0));
    canvas.setAttribute('viewBox', `0 0 ${width} ${height}`);
    canvas.setAttribute('aria-label', `${metric.selectedOptions[0].text} against ${against.selectedOptions[0].text}: `
      + `${shown.size} solvers. Arrow keys go from point to point; the numbers are in the tables below.`);
    marks = [];
    leave();
    const left = here.length - drawable.length;
    const bars = drawable.some((p) => p.stderr > 0);
    note.textContent = [
      bars ? `Bars: ${WIDE} standard errors to each side.` : '',
      left ? `${left} point${left > 1 ? 's' : ''} at or below zero not shown on a logarithmic axis.` : '',
      failed ? `${failed} run${failed > 1 ? 's' : ''} without a finite result not shown: see the table.` : '',
      shown.size > LOOKS ? `More than ${LOOKS} curves: looks repeat.` : '',
    ].filter(Boolean).join(' ');
    if (!drawable.length) {
      legend.mark(new Set());
      canvas.replaceChildren(sv('text', { x: width / 2, y: height / 2, 'text-anchor': 'middle' }, 'Nothing to show here.'));
      return;
    }
    const axisX = axisAround(drawable.map(x), logX.box.checked, inner / 52, true);
    const axisY = axisAround(drawable.map((p) => p.value), logY.box.checked, tall / 26, false);
    const px = (v) => box.left + inner * axisX.place(v);
    const py = (v) => box.top + tall * (1 - axisY.place(v));
    const parts = [];
    for (const { at, label } of axisY.ticks) {
      parts.push(sv('path', { class: 'grid', d: `M${box.left} ${py(at)}h${inner}` }),
        sv('text', { class: 'tick-y', x: box.left - 7, y: py(at) + 4, 'text-anchor': 'end' }, label));
    }
    for (const { at, label } of axisX.ticks) {
      parts.push(sv('path', { class: 'tick', d: `M${px(at)} ${box.top + tall}v5` }),
        sv('text', { class: 'tick-x', x: px(at), y: box.top + tall + 19, 'text-anchor': 'middle' }, label));
    }
    parts.push(sv('path', { class: 'axis', d: `M${box.left} ${box.top}v${tall}h${inner}` }),
      sv('text', { x: box.left + inner / 2, y: height - 6, 'text-anchor': 'middle' }, against.selectedOptions[0].text),
      sv('text', { transform: `rotate(-90 14 ${box.top + tall / 2})`, x: 14, y: box.top + tall / 2, 'text-anchor': 'middle' },
        metric.value));
    for (const [solver, slot] of [...shown].sort((a, b) => solvers.indexOf(a[0]) - solvers.indexOf(b[0]))) {
      const mine = drawable.filter((p) => p.solver === solver).sort((a, b) => x(a) - x(b));
      if (!mine.length) continue;
      const { colour, dash, form, hollow } = look(slot);
      const at = mine.map((point) => ({ x: px(x(point)), y: py(point.value), point }));
      marks.push({ solver, at });
      const bar = ({ x: cx, point }) => {
        if (!(point.stderr > 0)) return '';
        const [high, low] = [point.value + WIDE * point.stderr, point.value - WIDE * point.stderr].map(py);
        const [top, end] = [Math.max(box.top, high), Math.min(box.top + tall, Number.isNaN(low) ? Infinity : low)];
        return `M${cx - 2.5} ${top}h5m-2.5 0V${end}m-2.5 0h5`;
      };
      parts.push(sv('g', { class: `curve colour-${colour}`, 'data-solver': solver },
        sv('path', { class: 'bars', d: at.map(bar).join('') }),
        sv('path', { class: 'line', d: `M${at.map((m) => `${m.x.toFixed(2)} ${m.y.toFixed(2)}`).join('L')}`, 'stroke-dasharray': dash || null }),
        sv('path', { class: hollow ? 'marker hollow' : 'marker', d: at.map((m) => markerPath(m.x, m.y, form, 3.2)).join('') })));
    }
    canvas.replaceChildren(...parts, ring);
    legend.mark(new Set(marks.map((m) => m.solver)));
  };

  // What is pointed at or walked to: its curve stands out, and its numbers are said.
  const leave = () => {
    current = null;
    tip.hidden = true;
    ring.setAttribute('d', '');
    canvas.querySelectorAll('.faded').forEach((g) => g.classList.remove('faded'));
  };
  const enter = (curve, k, aloud) => {
    current = [curve, k];
    const { solver, at } = marks[curve];
    const { x, y, point } = at[k];
    const error = Number.isFinite(point.stderr) ? ` ± ${shortNumber(point.stderr)}` : '';
    const text = `${solver}: ${point.steps} steps, ${Number.isFinite(point.nfe) ? `${point.nfe} calls, ` : ''}`
      + `${point.metric} ${shortNumber(point.value)}${error}`;
    ring.setAttribute('d', markerPath(x, y, null, 7));
    tip.textContent = text;
    tip.hidden = false;
    const scale = canvas.clientWidth / canvas.viewBox.baseVal.width || 1;
    const room = frame.clientWidth - tip.offsetWidth - 4;
    tip.style.left = `${Math.max(4, Math.min(room, x * scale + 12))}px`;
    tip.style.top = `${Math.max(0, y * scale - tip.offsetHeight - 12)}px`;
    canvas.querySelectorAll('.curve').forEach((g) => g.classList.toggle('faded', g.dataset.solver !== solver));
    if (aloud) said.textContent = text;
  };
  canvas.addEventListener('pointermove', (event) => {
    const scale = canvas.viewBox.baseVal.width / canvas.clientWidth;
    let best = [28, null];
    marks.forEach(({ at }, curve) => at.forEach((m, k) => {
      const far = Math.hypot(event.offsetX * scale - m.x, event.offsetY * scale - m.y);
      if (far < best[0]) best = [far, [curve, k]];
    }));
    if (best[1]) enter(...best[1], false);
    else leave();
  });
  canvas.addEventListener('pointerleave', leave);
  canvas.addEventListener('blur', leave);
  canvas.addEventListener('keydown', (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (event.key === 'Escape') leave();
    if (!step || !marks.length) return;
    event.preventDefault();
    const curve = current ? (current[0] + step[0] + marks.length) % marks.length : 0;
    const last = marks[curve].at.length - 1;
    enter(curve, current ? Math.max(0, Math.min(last, current[1] + step[1])) : 0, true);
  });
  let width = 0;
  new ResizeObserver(() => {
    if (frame.clientWidth && frame.clientWidth !== width) {
      width = frame.clientWidth;
      draw();
    }
  }).observe(frame);
  draw();
};

// Boxes that show and hide solvers.
const buildLegend = (solvers, shown, show, draw) => {
  // Those that are shown first, where they are a choice of many.
  const listed = [...solvers].sort((a, b) => shown.has(b) - shown.has(a));
  const rows = listed.map((solver) => {
    const box = el('input', { type: 'checkbox', value: solver, checked: shown.has(solver) });
    const mark = el('span', { class: 'mark' });
    return { solver, box, mark, row: el('label', { class: 'solver' }, box, mark, el('span', {}, solver)) };
  });
  const looks = () => rows.forEach(({ solver, mark }) => {
    mark.replaceChildren(...(shown.has(solver) ? [swatch(shown.get(solver))] : []));
  });
  const set = (list, on) => {
    for (const { solver, box } of list) {
      box.checked = on;
      if (on && !shown.has(solver)) show(solver);
      if (!on) shown.delete(solver);
    }
    looks();
    draw();
  };
  rows.forEach((one) => one.box.addEventListener('change', () => set([one], one.box.checked)));
  const seen = () => rows.filter(({ row }) => !row.hidden);
  const find = el('input', { type: 'search', placeholder: 'find', 'aria-label': 'Find solvers', oninput: () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach(({ solver, row }) => { row.hidden = !words.every((w) => solver.toLowerCase().includes(w)); });
    many.textContent = `${seen().length} of ${rows.length} solvers`;
  } });
  const many = el('span', { class: 'count', role: 'status' }, `${rows.length} solvers`);
  looks();
  // What is chosen and has no point in this panel.
  const mark = (drawn) => rows.forEach(({ solver, row }) => {
    const absent = shown.has(solver) && !drawn.has(solver);
    row.classList.toggle('absent', absent);
    row.title = absent ? 'no value of this error here' : '';
  });
  return { mark, element: el('fieldset', { class: 'legend' }, el('legend', {}, 'Solvers'),
    el('div', { class: 'controls' }, rows.length > 12 ? find : '',
      el('button', { type: 'button', onclick: () => set(seen(), true) }, 'all'),
      el('button', { type: 'button', onclick: () => set(seen(), false) }, 'none'), many),
    el('div', { class: 'solvers' }, ...rows.map((r) => r.row))) };
};
