// The page itself: what is built when it is first seen, light and dark, figures at full size.

const contents = JSON.parse(document.getElementById('contents').textContent);
const builders = { plot: buildPlot, tables: buildTables };

const build = (details) => {
  if (details.dataset.built) return;
  details.dataset.built = 'yes';
  const host = details.querySelector('.built');
  const entry = contents.find((e) => e.id === details.dataset.of);
  try {
    builders[details.dataset.build](host, entry);
  } catch (error) {
    host.replaceChildren(el('p', { class: 'note' }, `Cannot be shown: ${error.message}`));
    throw error;
  }
};
// Opened, and near enough to be looked at.
const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting && target.open) build(target);
}, { rootMargin: '300px' });
for (const details of document.querySelectorAll('details.explore')) {
  near.observe(details);
  details.addEventListener('toggle', () => { if (details.open) build(details); });
}

const root = document.documentElement;
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const theme = document.getElementById('theme');
const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : prefersDark.matches);
const sayTheme = () => theme.setAttribute('aria-pressed', String(isDark()));
theme.hidden = false;
theme.addEventListener('click', () => {
  root.dataset.theme = isDark() ? 'light' : 'dark';
  sayTheme();
});
prefersDark.addEventListener('change', sayTheme);
sayTheme();

for (const button of document.querySelectorAll('button.full')) {
  button.hidden = false;
  button.addEventListener('click', () => {
    const full = button.getAttribute('aria-pressed') === 'false';
    const picture = button.closest('figure').querySelector('svg');
    picture.style.width = full ? `${picture.getAttribute('width')}px` : '';
    button.setAttribute('aria-pressed', String(full));
  });
}

// Pointing at a series of a figure dims the others, in all its panels.
for (const picture of document.querySelectorAll('.paper svg')) {
  picture.addEventListener('pointerover', (event) => {
    const series = event.target.closest('.s');
    const name = series && [...series.classList].find((c) => /^s\d+$/.test(c));
    picture.classList.toggle('pointed', Boolean(name));
    picture.querySelectorAll('.s').forEach((s) => s.classList.toggle('lit', Boolean(name) && s.classList.contains(name)));
  });
  picture.addEventListener('pointerleave', () => picture.classList.remove('pointed'));
}

// The way to the section that is being read.
const links = new Map([...document.querySelectorAll('.contents a')].map((a) => [a.hash.slice(1), a]));
const reading = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    const link = links.get(target.id);
    if (!link || !isIntersecting) continue;
    links.forEach((a) => a.removeAttribute('aria-current'));
    link.setAttribute('aria-current', 'true');
  }
}, { rootMargin: '-20% 0px -75% 0px' });
document.querySelectorAll('section.experiment').forEach((s) => reading.observe(s));
if (matchMedia('(max-width: 1000px)').matches) document.querySelector('.contents details').open = false;
