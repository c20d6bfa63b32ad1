// A part that follows along waits while somebody is at work in it: an open panel, a field, a menu.
(() => {
  "use strict";
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target.closest("[data-live]");
    if (!part || part !== event.target) return;
    const field = document.activeElement;
    const isTyping = field && part.contains(field) && field.matches("input, textarea, select");
    if (isTyping || part.querySelector("details[open]")) event.preventDefault();
  });
})();
