// Show a choice as soon as it is made.
(function () {
  "use strict";
  document.addEventListener("change", (event) => {
    const choice = event.target.closest("[data-submit]");
    if (choice) choice.form.requestSubmit();
  });
})();
