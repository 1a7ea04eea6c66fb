// Tables: sorted, filtered, a page at a time, and downloaded as they lie on disk.

const PAGE = 25;
// What tells rows apart to the program, not to a reader.
const INTERNAL = ['key', 'check', 'experiment'];

const buildTables = (host, entry) => {
  const place = el('div');
  const choose = (table) => place.replaceChildren(buildTable(entry, table));
  const options = entry.tables.map((t, k) => el('option', { value: k }, `${t.title} (${t.file}, ${t.rows} rows)`));
  const select = el('select', { 'aria-label': 'Table', onchange: () => choose(entry.tables[select.value]) }, ...options);
  const field = el('label', { class: 'field' }, 'table ', select);
  host.replaceChildren(el('div', { class: 'controls' }, entry.tables.length > 1 ? field : ''), place);
  choose(entry.tables[0]);
};

// Hands a file out, byte for byte.
const download = (name, text) => {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
};

const buildTable = (entry, table) => {
  const text = fileText(table.element);
  const { head, rows } = parseCsv(text);
  const save = el('button', { type: 'button', class: 'download', onclick: () => download(`${entry.name}-${table.file}`, text) },
    `Download ${table.file}`);
  if (!rows.length) return el('div', {}, el('p', { class: 'note' }, 'No rows.'), save);

  const numeric = head.map((_, k) => rows.every((r) => r[k] === '' || !Number.isNaN(numberOf(r[k]))));
  const same = head.map((_, k) => rows.every((r) => r[k] === rows[0][k]));
  const told = (k) => !INTERNAL.includes(head[k]);
  const all = head.map((_, k) => k);
  const few = all.filter((k) => told(k) && !(same[k] && rows.length > 1));
  const fixed = all.filter((k) => told(k) && same[k] && rows.length > 1 && rows[0][k] !== '');

  let columns = few;
  let sorted = { column: -1, down: false };
  let found = rows;
  let page = 0;

  const status = el('span', { class: 'count', role: 'status', 'aria-live': 'polite' });
  const filter = el('input', { type: 'search', placeholder: 'filter rows', 'aria-label': 'Filter rows' });
  const every = el('input', { type: 'checkbox', onchange: () => { columns = every.checked ? all : few; show(); } });
  const back = el('button', { type: 'button', onclick: () => turn(-1) }, 'previous');
  const next = el('button', { type: 'button', onclick: () => turn(1) }, 'next');
  const grid = el('table', { class: 'book rows' });
  const unseen = el('caption', { class: 'unseen' }, `${table.title}, ${table.file} of ${entry.name}`);

  const turn = (by) => { page += by; show(); };
  const order = (k) => {
    sorted = { column: k, down: sorted.column === k && !sorted.down };
    page = 0;
    arrange();
    grid.querySelector(`button[data-column="${k}"]`).focus();
  };
  const arrange = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((r) => {
      const line = r.join('\n').toLowerCase();
      return words.every((w) => line.includes(w));
    });
    const { column: k, down } = sorted;
    if (k >= 0) {
      const sign = down ? -1 : 1;
      const compare = numeric[k] ? (a, b) => numberOf(a) - numberOf(b) : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
      // What is missing comes last, either way.
      found.sort((a, b) => (a[k] === '') - (b[k] === '') || (a[k] === b[k] ? 0 : sign * compare(a[k], b[k])));
    }
    show();
  };
  const header = (k) => {
    const way = sorted.column === k ? (sorted.down ? 'descending' : 'ascending') : 'none';
    const arrow = { none: '', ascending: ' ↑', descending: ' ↓' }[way];
    return el('th', { scope: 'col', 'aria-sort': way, class: numeric[k] ? 'number' : null },
      el('button', { type: 'button', 'data-column': k, onclick: () => order(k) }, head[k],
        el('span', { 'aria-hidden': 'true' }, arrow)));
  };
  const cell = (r, k) => {
    if (!numeric[k]) return el('td', { class: r[k].length > 60 ? 'long' : null }, r[k]);
    return el('td', { class: 'number', title: r[k] }, shortNumber(numberOf(r[k])));
  };
  const show = () => {
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    page = Math.max(0, Math.min(last, page));
    const part = found.slice(page * PAGE, (page + 1) * PAGE);
    grid.replaceChildren(unseen, el('thead', {}, el('tr', {}, ...columns.map(header))),
      el('tbody', {}, ...part.map((r) => el('tr', {}, ...columns.map((k) => cell(r, k))))));
    const of = found.length === rows.length ? `${rows.length}` : `${found.length} found in ${rows.length}`;
    status.textContent = found.length ? `rows ${page * PAGE + 1}–${page * PAGE + part.length} of ${of}` : `none of ${rows.length} rows`;
    back.disabled = page === 0;
    next.disabled = page === last;
  };

  let waiting = 0;
  filter.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { page = 0; arrange(); }, 120);
  });
  const constants = fixed.map((k) => `${head[k]} ${numeric[k] ? shortNumber(numberOf(rows[0][k])) : rows[0][k]}`);
  show();
  return el('div', {},
    el('div', { class: 'controls' }, filter, back, next, status, el('label', {}, every, ' all columns'), save),
    el('div', { class: 'wide', tabindex: 0, role: 'group', 'aria-label': table.title }, grid),
    constants.length ? el('p', { class: 'note' }, `In all rows: ${constants.join('; ')}.`) : '');
};
