// Keyboard, focus, list and menu behaviour. Every page works without it.
(function () {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const isTyping = (element) =>
    element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

  function openHelp() {
    const help = byId("keyboard-help");
    if (help && !help.open) help.showModal();
  }

  let pending = "";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (pending === "g" && event.key === "h") {
      window.location.assign("/");
      return;
    }
    pending = event.key === "g" ? "g" : "";
    const actions = {
      "/": () => byId("search"),
      f: () => document.querySelector("#list-filter input, #list-filter select"),
    };
    if (event.key === "?") {
      event.preventDefault();
      openHelp();
    } else if (event.key === "h") {
      const button = document.querySelector("[data-hide-amounts]");
      if (button) button.click();
    } else if (actions[event.key]) {
      const target = actions[event.key]();
      if (target) {
        event.preventDefault();
        target.focus();
        if (target.select) target.select();
      }
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) openHelp();
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, label, summary") && !String(window.getSelection())) {
      window.location.assign(row.dataset.href);
    }
    const toggle = event.target.closest("[data-toggle-open]");
    if (toggle) {
      const isOpen = byId(toggle.dataset.toggleOpen).classList.toggle("is-open");
      toggle.setAttribute("aria-expanded", String(isOpen));
    }
    const submit = event.target.closest("[data-confirm]");
    if (submit && !window.confirm(submit.dataset.confirm)) event.preventDefault();
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(byId(copy.dataset.copy).textContent.trim()).then(() => {
        copy.classList.add("is-copied");
        announce(copy.dataset.copied || "");
      });
    }
  });

  function announce(text) {
    const region = byId("announce");
    // The same words again, as of a list that is renewed, say nothing new.
    if (region && region.textContent !== text) region.textContent = text;
  }

  // A form that comes back refused starts at the first field that has to be corrected.
  document.addEventListener("DOMContentLoaded", () => {
    const error = document.querySelector("main form .invalid-feedback");
    if (!error) return;
    const field = error.closest(".field, .question");
    // Among several it is the chosen one that has to be corrected.
    const input = field && (field.querySelector("input:checked") || field.querySelector("input:not([type=hidden]), select, textarea"));
    if (input) input.focus({ preventScroll: true });
    (field || error).scrollIntoView({ block: "center" });
  });

  // Back to a page that answered a form asks for it anew: browsers keep no copy, and would send the form again.
  document.addEventListener("DOMContentLoaded", () => {
    if ("posted" in document.body.dataset) history.replaceState(history.state, "", window.location.href);
  });

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    window.setTimeout(() => delete form.dataset.sent, 4000);
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });

  // Tables: the header stays in sight below the top bar, or inside the box when the table is wider than it.
  const measured = new ResizeObserver((entries) => entries.forEach((entry) => measure(entry.target)));
  function measure(box) {
    const table = box.querySelector("table");
    if (table) box.classList.toggle("is-wide", table.scrollWidth > box.clientWidth + 1);
    const isWide = box.classList.contains("is-wide");
    // A region that scrolls can be reached by keyboard.
    if (isWide) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }
  function prepare(root) {
    root.querySelectorAll("[data-table-scroll]").forEach((box) => {
      measured.observe(box);
      measure(box);
    });
    followUrl();
  }

  // What leads on from this view, or back to it, follows the URL, which a filter changes without a reload.
  function followUrl() {
    document.querySelectorAll("[data-export]").forEach((link) => {
      const query = new URLSearchParams(window.location.search);
      query.delete("page");
      query.set("_export", link.dataset.export);
      link.setAttribute("href", `?${query}`);
    });
    document.querySelectorAll("input[data-here]").forEach((input) => {
      input.value = window.location.pathname + window.location.search;
    });
  }

  document.addEventListener("DOMContentLoaded", () => prepare(document));
  document.addEventListener("htmx:load", (event) => {
    if (event.target !== document.body) prepare(document);
  });
  document.addEventListener("htmx:pushedIntoHistory", followUrl);

  // Empty fields stay out of the URL.
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.target.closest("[data-strip-empty]")) return;
    const data = event.detail.formData;
    for (const [name, value] of [...data.entries()]) if (value === "") data.delete(name);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!["list", "list-rows"].includes(event.target.id)) return;
    const status = event.target.querySelector("[role=status]");
    if (status) announce(status.textContent.trim());
    // The link that was followed may be gone, as that of a filter lifted: go on from the list.
    const asker = event.detail.requestConfig && event.detail.requestConfig.elt;
    if (asker && !asker.isConnected && document.activeElement === document.body) byId("list").focus({ preventScroll: true });
  });
  // A sign-in that has run out answers a partial request with the sign-in page: go there.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const url = event.detail.xhr.responseURL || "";
    if (url.includes("/accounts/login/") && !window.location.pathname.startsWith("/accounts/")) {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });
  document.addEventListener("htmx:sendError", () => announce(document.body.dataset.offline || ""));
})();
