// A part that follows along waits while somebody is at work in it: an open panel, a field, a menu.
(() => {
  "use strict";
  document.addEventListener("htmx:beforeRequest", (event) => {
    // Rows that are chosen are not drawn anew: they would lose the choice.
    const rows = event.target.matches("[data-waits-for-choice]") && document.getElementById("list-rows");
    if (rows && rows.querySelector("input[type=checkbox]:checked")) event.preventDefault();
    const part = event.target.closest("[data-live]");
    if (!part || part !== event.target) return;
    const field = document.activeElement;
    const isTyping = field && part.contains(field) && field.matches("input, textarea, select");
    if (isTyping || part.querySelector("details[open]:not([data-keeps-live])")) event.preventDefault();
  });
  // What a part says of itself is read out when it has changed, not at every look.
  const said = new Map();
  const listen = (part) => {
    const says = part.querySelector("[data-says]");
    if (!says) return;
    const before = said.get(part.id);
    said.set(part.id, says.dataset.says);
    const region = document.getElementById("announce");
    if (before !== undefined && before !== says.dataset.says && region) region.textContent = says.dataset.says;
  };
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-live]").forEach(listen));
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.matches && event.target.matches("[data-live]")) listen(event.target);
  });
})();
