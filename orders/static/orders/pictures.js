// Product pictures: dragged into order, and many files sent one by one. Without this script the forms do the same in one go.
const gallery = document.querySelector("[data-gallery]");
const many = document.querySelector("[data-many]");
const AT_ONCE = 2; // requests; more would only share the same line
const TRIES = 3; // of one file, when the line breaks

for (const one of document.querySelectorAll(".wb-only-script")) one.classList.add("is-on");

if (gallery) {
  let held = null;
  const renumber = () => gallery.querySelectorAll("[data-place]").forEach((input, index) => (input.value = index + 1));
  gallery.addEventListener("dragstart", (event) => {
    held = event.target.closest("li");
    event.dataTransfer.effectAllowed = "move";
  });
  gallery.addEventListener("dragover", (event) => {
    const over = event.target.closest("li");
    if (!held || !over) return;
    event.preventDefault();
    if (over === held) return;
    const isBefore = held.compareDocumentPosition(over) & Node.DOCUMENT_POSITION_PRECEDING;
    over[isBefore ? "before" : "after"](held);
  });
  gallery.addEventListener("drop", (event) => event.preventDefault());
  gallery.addEventListener("dragend", () => {
    held = null;
    renumber();
  });
}

if (many) {
  const state = document.querySelector("[data-state]");
  const bar = document.querySelector("[data-bar]");
  const rows = document.querySelector("[data-rows]");
  let all = 0, done = 0;

  const tell = () => {
    bar.max = all;
    bar.value = done;
    state.textContent = done < all ? `${done} of ${all} files sent` : `All ${all} files sent`;
  };

  async function send(file, tries = 1) {
    const body = new FormData();
    body.append("file", file, file.name);
    const headers = { "X-Requested-With": "XMLHttpRequest", "X-CSRFToken": many.elements.csrfmiddlewaretoken.value };
    try {
      const answer = await fetch(location.href, { method: "POST", body, headers });
      if (!answer.ok) throw new Error(answer.status);
      rows.insertAdjacentHTML("beforeend", await answer.text());
    } catch {
      if (tries < TRIES) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * tries));
        return send(file, tries + 1);
      }
      const row = rows.insertRow();
      row.insertCell().textContent = file.name;
      row.insertCell().textContent = "Left out. The connection was lost: choose the same files again.";
    }
  }

  many.addEventListener("submit", async (event) => {
    event.preventDefault();
    const files = [...many.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
    if (!files.length) return;
    many.reset();
    all += files.length;
    bar.hidden = false;
    document.querySelector("[data-told]").hidden = false;
    tell();
    const next = async () => {
      for (let file; (file = files.shift()); ) {
        await send(file);
        done += 1;
        tell();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  });
}
