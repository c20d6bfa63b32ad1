// Rows chosen for a form elsewhere on the page (id "bulk"): choose all, count, enable its buttons.
(() => {
  "use strict";
  const BOX = 'input[type="checkbox"][form="bulk"]';
  const boxes = () => [...document.querySelectorAll(BOX)];

  function update() {
    const form = document.querySelector("form[data-selection]");
    if (!form) return;
    const all = boxes();
    const chosen = all.filter((box) => box.checked).length;
    const count = form.querySelector("[data-selection-count]");
    if (count) count.textContent = chosen ? `${chosen} ${count.dataset.some}` : count.dataset.none;
    // Stays in sight however far down the rows are.
    form.classList.toggle("is-used", chosen > 0);
    form.querySelectorAll("[data-needs-selection]").forEach((button) => { button.disabled = chosen === 0; });
    document.querySelectorAll("[data-check-all]").forEach((box) => {
      box.checked = all.length > 0 && chosen === all.length;
      box.indeterminate = chosen > 0 && chosen < all.length;
      box.disabled = all.length === 0;
    });
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-check-all]")) boxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches(`[data-check-all], ${BOX}`)) update();
  });
  document.addEventListener("htmx:afterSwap", update);
  document.addEventListener("DOMContentLoaded", update);
})();
