// How curves are told apart, as in the static figures: colour, dash and marker.

const COLOURS = 7;
const DASHES = ['', '6 2.5', '1.6 2.2', '9 2.2 1.6 2.2'];
const LOOKS = COLOURS * DASHES.length;
const FORMS = [
  null, // a circle
  [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  [[0, -1.15], [1, 0.8], [-1, 0.8]],
  [[0, -1.25], [1.1, 0], [0, 1.25], [-1.1, 0]],
  [[0, 1.15], [1, -0.8], [-1, -0.8]],
  [[1.15, 0], [-0.8, 1], [-0.8, -1]],
  [[-1.15, 0], [0.8, 1], [0.8, -1]],
];

const look = (slot) => {
  const k = slot % LOOKS;
  const round = Math.floor(k / COLOURS);
  return { colour: k % COLOURS, dash: DASHES[round], form: FORMS[(k + round) % FORMS.length], hollow: round % 2 === 1 };
};

const markerPath = (x, y, form, r) => {
  if (!form) return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
  return `M${form.map(([dx, dy]) => `${(x + r * dx).toFixed(2)} ${(y + r * dy).toFixed(2)}`).join('L')}z`;
};

const swatch = (slot) => {
  const { colour, dash, form, hollow } = look(slot);
  return sv('svg', { class: `swatch colour-${colour}`, width: 34, height: 14, 'aria-hidden': 'true' },
    sv('path', { class: 'line', d: 'M1 7H33', 'stroke-dasharray': dash || null }),
    sv('path', { class: hollow ? 'marker hollow' : 'marker', d: markerPath(17, 7, form, 3.4) }));
};
