// What the page of a folder can do beyond its links: sort and filter without a request, local dates, uploads with
// progress. Without this script the server sorts, and the form uploads.

const body = document.querySelector('tbody');
const rows = [...body.querySelectorAll('tr[data-time]')];
const nameOf = (row) => row.querySelector('.name span').textContent;
document.documentElement.classList.add('with-script');

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
for (const time of document.querySelectorAll('time')) {
  time.textContent = dates.format(new Date(time.dateTime));
  time.title = new Date(time.dateTime).toLocaleString();
}

// --- sorting: folders stay first ---

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
const orders = {
  name: (a, b) => names.compare(nameOf(a), nameOf(b)),
  size: (a, b) => a.dataset.size - b.dataset.size,
  date: (a, b) => a.dataset.time - b.dataset.time,
};

function sortBy(key, descending) {
  const sign = descending ? -1 : 1;
  rows.sort((a, b) => b.dataset.folder.localeCompare(a.dataset.folder)
    || sign * orders[key](a, b) || orders.name(a, b));
  body.append(...rows);
  for (const link of document.querySelectorAll('th a')) {
    const isKey = link.dataset.key === key;
    link.parentElement.setAttribute('aria-sort', isKey ? (descending ? 'descending' : 'ascending') : 'none');
  }
}

// The server compares names without regard to the numbers in them.
if (document.querySelector('th.name[aria-sort="ascending"]')) sortBy('name', false);

document.querySelector('thead').addEventListener('click', (event) => {
  const link = event.target.closest('a');
  if (!link) return;
  event.preventDefault();
  const now = link.parentElement.getAttribute('aria-sort');
  const descending = now === 'ascending' || (now === 'none' && link.dataset.key === 'date');
  sortBy(link.dataset.key, descending);
  history.replaceState(null, '', `?sort=${link.dataset.key}&order=${descending ? 'desc' : 'asc'}`);
});

// --- the filter ---

const filter = document.querySelector('#filter');
const none = document.querySelector('#none');
const count = document.querySelector('#count');
const summary = count.textContent;

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const row of rows) {
    const name = nameOf(row).toLowerCase();
    row.hidden = !words.every((word) => name.includes(word));
    shown += !row.hidden;
  }
  none.hidden = shown !== 0;
  count.textContent = filter.value ? `${shown} of ${rows.length} shown` : summary;
}

filter.hidden = rows.length < 2;
filter.addEventListener('input', applyFilter);
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.target.closest('input')) {
    event.preventDefault();
    filter.focus();
  } else if (event.key === 'Escape' && event.target === filter) {
    filter.value = '';
    applyFilter();
  }
});

// --- uploads: one request for each file, one after the other ---

const form = document.querySelector('#upload');
const list = document.querySelector('#uploads');
let queue = Promise.resolve();
let pending = 0;
let failures = 0;

function send(file, item) {
  const progress = item.querySelector('progress');
  const state = item.querySelector('.state');
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const end = (kind, text) => {
      state.textContent = text;
      state.className = `state ${kind}`;
      progress.hidden = true;
      failures += kind === 'failed';
      resolve();
    };
    request.open('POST', location.pathname);
    request.setRequestHeader('Accept', 'application/json');
    request.responseType = 'json';
    request.upload.addEventListener('progress', (event) => {
      progress.value = event.loaded / event.total;
      state.textContent = `${Math.floor(100 * progress.value)} %`;
    });
    request.addEventListener('load', () => {
      if (request.status === 201) end('done', 'uploaded');
      else end('failed', request.response?.error ?? `refused (${request.status})`);
    });
    request.addEventListener('error', () => end('failed', 'the connection was lost'));
    const data = new FormData();
    data.append('file', file);
    request.send(data);
  });
}

function upload(files) {
  list.hidden = false;
  for (const file of files) {
    const item = document.createElement('li');
    const name = document.createElement('span');
    const state = document.createElement('span');
    name.textContent = file.name;
    state.className = 'state';
    state.textContent = 'waiting';
    const progress = document.createElement('progress');
    progress.value = 0;
    progress.setAttribute('aria-label', file.name);
    item.append(name, state, progress);
    list.append(item);
    ++pending;
    queue = queue.then(() => send(file, item)).then(() => {
      if (--pending === 0 && failures === 0) location.reload();
    });
  }
}

if (form) {
  const input = form.querySelector('input');
  input.addEventListener('change', () => {
    upload(input.files);
    form.reset();
  });
  let inside = 0;
  document.addEventListener('dragenter', () => form.classList.toggle('over', ++inside > 0));
  document.addEventListener('dragleave', () => form.classList.toggle('over', --inside > 0));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    inside = 0;
    form.classList.remove('over');
    upload(event.dataTransfer.files);
  });
}
