// A button with data-passkey starts what django-allauth's script does under that name; data-credential is the field it fills.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-passkey]")) {
    const { passkey, credential, passwordless } = button.dataset;
    const ids = { login: button.id, authenticate: button.id, add: button.id, credential, passwordless, data: "js_data" };
    window.allauth.webauthn.forms[passkey]({ ids });
  }
});

// Said no, took too long, or the browser has no passkeys here: a person reads it, beside the button.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const note = document.getElementById("passkey-problem");
  if (note) note.hidden = false;
});
