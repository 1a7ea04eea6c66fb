// Tables as they lie on disk, and elements.

// The text of a file that `escape::script` has hidden in a <script>.
const fileText = (id) => {
  const plain = { '\\': '\\', l: '<', r: '\r', 0: '\0' };
  const text = document.getElementById(id).textContent;
  return text.includes('\\') ? text.replace(/\\([\\lr0])/g, (_, c) => plain[c]) : text;
};

// Head and rows of a CSV text.
const parseCsv = (text) => {
  const rows = [];
  let row = [];
  let i = 0;
  while (i < text.length) {
    let cell = '';
    if (text[i] === '"') {
      // Up to the quote that is not doubled.
      let from = i + 1;
      for (;;) {
        let to = text.indexOf('"', from);
        if (to < 0) to = text.length;
        cell += text.slice(from, to);
        i = to + 1;
        if (text[i] !== '"') break;
        cell += '"';
        from = i + 1;
      }
    } else {
      const from = i;
      while (i < text.length && !',\n\r'.includes(text[i])) i += 1;
      cell = text.slice(from, i);
    }
    row.push(cell);
    if (text[i] === ',') {
      i += 1;
      if (i < text.length) continue;
      row.push('');
    }
    if (text[i] === '\r') i += 1;
    if (text[i] === '\n') i += 1;
    rows.push(row);
    row = [];
  }
  const head = rows.shift() || [];
  return { head, rows };
};

// An element with attributes and children; a text child is text, never markup.
const SVG = 'http://www.w3.org/2000/svg';
const fill = (node, attributes, children) => {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
};
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const sv = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const numberOf = (text) => {
  if (text === '' || text === undefined) return NaN;
  if (text === 'inf') return Infinity;
  return text === '-inf' ? -Infinity : Number(text);
};

// Four significant digits, as the tables show them.
const shortNumber = (x) => {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? '' : x > 0 ? '∞' : '−∞';
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x).replace('-', '−');
  const size = Math.abs(x);
  const text = size >= 1e-3 && size < 1e4 ? x.toPrecision(4) : x.toExponential(3);
  return text.replace(/-/g, '−').replace('e+', 'e');
};
