// Small comforts. Every page works without them.

// A form that must be sent once: the button says so, and a second press does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.once) return;
  if (form.dataset.sent) return event.preventDefault();
  const button = event.submitter || form.querySelector("[type=submit]");
  form.dataset.sent = "yes";
  button.dataset.words = button.textContent;
  button.textContent = form.dataset.once;
  button.setAttribute("aria-disabled", "true");
  button.setAttribute("aria-busy", "true");
});

// Back to a page kept in memory: the button works again. The server still knows the key.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    const button = form.querySelector("[aria-busy]");
    delete form.dataset.sent;
    button.textContent = button.dataset.words;
    button.removeAttribute("aria-disabled");
    button.removeAttribute("aria-busy");
  }
});

// Colours change at once; the cookie tells the server for the next page.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("themeSwitch" in form.dataset) || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === event.submitter));
  }
});

// A menu closes when the visitor turns to something else.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

// The server is away: say so, and stop saying so when it is back.
const offline = (away) => {
  const note = document.getElementById("offline");
  if (note) note.hidden = !away;
};
document.addEventListener("htmx:sendError", () => offline(true));
document.addEventListener("htmx:afterOnLoad", () => offline(false));
