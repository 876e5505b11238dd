// The card is typed into Stripe's own frame. What comes back is a name for it, and only that is sent to the shop.
const field = document.querySelector("[data-card-key]");
const form = field.closest("form");
const button = form.querySelector(".checkout-side > [type=submit]");
const named = field.querySelector("[name=payment_method]");
const problem = field.querySelector("[role=alert]");

if (window.Stripe) open();
else problem.textContent = field.dataset.notLoaded;

function open() {
  const stripe = Stripe(field.dataset.cardKey);
  const look = getComputedStyle(document.body);
  const style = { base: { color: look.color, fontSize: "16px", fontFamily: look.fontFamily } };
  const card = stripe.elements().create("card", { hidePostalCode: true, style });
  let asking = false;

  card.mount(field.querySelector(".card-frame"));
  // Another card than the one that has a name.
  card.on("change", (event) => {
    named.value = "";
    problem.textContent = event.error ? event.error.message : "";
  });
  button.disabled = false;

  form.addEventListener("submit", async (event) => {
    if (event.submitter !== button || named.value) return;
    event.preventDefault();
    event.stopPropagation(); // it is not sent yet: nobody else need know
    if (asking) return;
    asking = true;
    button.setAttribute("aria-busy", "true");
    const answer = await stripe.createPaymentMethod({ type: "card", card }).catch(() => null);
    asking = false;
    button.removeAttribute("aria-busy");
    if (answer?.paymentMethod) {
      named.value = answer.paymentMethod.id;
      form.requestSubmit(button);
    } else problem.textContent = answer?.error ? answer.error.message : field.dataset.notLoaded;
  });
}
