// Search, copy buttons and links to one operation. Without this script the page still lists and opens everything.
const search = document.getElementById('search');
const nothing = document.getElementById('nothing');
const sections = [...document.querySelectorAll('main > section')].filter((section) => section.id !== 'errors');
const texts = new Map(
  [...document.querySelectorAll('details')].map((each) => [
    each,
    `${each.id} ${each.querySelector('summary').textContent}`.toLowerCase(),
  ]),
);

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const [operation, text] of texts) operation.hidden = !words.every((word) => text.includes(word));
  for (const section of sections) section.hidden = !section.querySelector('details:not([hidden])');
  nothing.hidden = sections.some((section) => !section.hidden);
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

async function copy(button) {
  const text = button.closest('.api-block').querySelector('pre').textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(button.closest('.api-block').querySelector('pre'));
    button.textContent = 'Press Ctrl+C';
  }
  setTimeout(() => (button.textContent = 'Copy'), 2000);
}

search.addEventListener('input', filter);
addEventListener('hashchange', openTarget);
addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== search) {
    event.preventDefault();
    search.focus();
  }
});
document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]');
  if (button) void copy(button);
});
document.addEventListener(
  'toggle',
  (event) => {
    if (event.target.open && event.target.id) history.replaceState(null, '', `#${event.target.id}`);
  },
  true,
);
openTarget();
