// A part that follows along waits while somebody is at work in it: an open panel, a field, a menu.
(() => {
  "use strict";
  const isInUse = (asker) => {
    // Rows that are chosen are not drawn anew: they would lose the choice.
    const rows = asker.matches("[data-waits-for-choice]") && document.getElementById("list-rows");
    if (rows && rows.querySelector("input[type=checkbox]:checked")) return true;
    if (!asker.matches("[data-live]")) return false;
    const field = document.activeElement;
    const isTyping = field && asker.contains(field) && field.matches("input, textarea, select");
    return Boolean(isTyping || asker.querySelector("details[open]:not([data-keeps-live])"));
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isInUse(event.target)) event.preventDefault();
  });
  // What was asked for before somebody opened a panel comes too late for it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const asker = event.detail.requestConfig && event.detail.requestConfig.elt;
    if (asker && isInUse(asker)) event.detail.shouldSwap = false;
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
