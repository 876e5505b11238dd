// Files on their way, each with its own bar. Without this script the form sends them all at once, and the page says the rest.
const form = document.getElementById("drop");
const list = document.getElementById("uploads");
const news = document.getElementById("upload-news");
const AT_ONCE = 2; // requests; more would only share the same line
const waiting = [];
let sending = 0;

const element = (tag, words = "", className = "") => Object.assign(document.createElement(tag), { textContent: words, className });

function rowFor(file) {
  const row = element("li", "", "upload is-sending");
  const words = element("div", "", "upload-words");
  const state = element("p", "", "upload-state");
  const label = element("label", list.dataset.sending);
  const bar = Object.assign(document.createElement("progress"), { max: 100, value: 0 });
  label.append(bar);
  state.append(label);
  words.append(element("h3", file.name), state);
  row.append(element("div", "", "upload-thumb"), words);
  list.prepend(row);
  return { row, bar };
}

function fail(row, why) {
  row.classList.add("is-refused");
  row.querySelector(".upload-state").replaceWith(element("p", why, "problem"));
  news.textContent = why;
}

function send({ file, row, bar }) {
  const request = new XMLHttpRequest();
  const body = new FormData();
  body.append(form.querySelector("input[type=file]").name, file);
  request.open("POST", form.action);
  request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
  request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = (event.loaded / event.total) * 100;
  });
  request.addEventListener("load", () => {
    if (request.status !== 200 && request.status !== 422) return fail(row, list.dataset.lost);
    const made = document.createElement("template");
    made.innerHTML = request.responseText;
    for (const one of made.content.querySelectorAll("li.upload[id]")) document.getElementById(one.id)?.remove();
    const rows = [...made.content.children];
    row.replaceWith(...rows);
    for (const one of rows) htmx.process(one);
    news.textContent = rows.map((one) => one.querySelector("h3, .problem").textContent).join(", ");
  });
  request.addEventListener("error", () => fail(row, list.dataset.lost));
  request.addEventListener("loadend", () => {
    sending -= 1;
    next();
  });
  request.send(body);
}

function next() {
  while (sending < AT_ONCE && waiting.length) {
    sending += 1;
    send(waiting.shift());
  }
}

function take(files) {
  document.getElementById("no-uploads")?.remove();
  for (const file of files) waiting.push({ file, ...rowFor(file) });
  next();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  take(form.querySelector("input[type=file]").files);
  form.reset();
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.toggle("is-over", kind === "dragover");
  });
}
form.addEventListener("drop", (event) => take(event.dataTransfer.files));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(new URL(button.dataset.copy, location.href).href);
  button.textContent = button.dataset.copied;
});
