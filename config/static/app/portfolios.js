// Choose all rows of a page, and show a choice as soon as it is made.
(function () {
  "use strict";
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-choose-all]");
    if (all) {
      const name = all.dataset.chooseAll;
      document.querySelectorAll(`input[type=checkbox][name="${name}"]`).forEach((box) => {
        box.checked = all.checked;
      });
    }
    const choice = event.target.closest("[data-submit]");
    if (choice) choice.form.requestSubmit();
  });
})();
