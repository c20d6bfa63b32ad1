// The editor of a draft's targets: the exact sum while typing, rows that come and go, search by keyboard.
(() => {
  "use strict";
  const PLACES = 8;

  // Sums in whole units of the last place, since binary fractions would not be exact.
  function units(text) {
    const match = /^\s*(-?)(\d*)(?:[.,](\d*))?\s*$/.exec(text);
    if (!match || !(match[2] || match[3])) return null;
    const fraction = (match[3] || "").padEnd(PLACES, "0").slice(0, PLACES);
    return BigInt(match[2] + fraction) * (match[1] ? -1n : 1n);
  }

  // As the reader's language writes 1.50%, which the page says.
  function shown(sum, like) {
    const sign = sum < 0n ? "−" : "";
    const digits = (sum < 0n ? -sum : sum).toString().padStart(PLACES + 1, "0");
    const fraction = digits.slice(-PLACES).replace(/0+$/, "").padEnd(2, "0");
    return `${sign}${digits.slice(0, -PLACES)}${like[1]}${fraction}${like.slice(4)}`;
  }

  function total(form) {
    const inputs = [...form.querySelectorAll("input[data-weight]")];
    const parts = inputs.map((input) => units(input.value));
    const output = form.querySelector("[data-sum]");
    if (!output) return;
    const sum = parts.reduce((before, part) => before + (part ?? 0n), 0n);
    const exact = inputs.length > 0 && parts.every((part) => part !== null) && sum === units("100");
    const like = output.dataset.like;
    output.textContent = shown(sum, like);
    output.dataset.exact = exact ? "1" : "0";
    const left = form.querySelector("[data-left]");
    const gap = units("100") - sum;
    if (left) left.textContent = exact ? left.dataset.done : `${left.dataset.open} ${gap > 0n ? "+" : ""}${shown(gap, like)}`;
    form.querySelectorAll("[data-needs-rows]").forEach((each) => { each.hidden = inputs.length > 0; });
  }

  // What is published is what was saved.
  function changed() {
    document.querySelectorAll("[data-after-saving]").forEach((part) => {
      part.querySelectorAll("button").forEach((button) => { button.disabled = true; });
      part.querySelectorAll("[data-unsaved]").forEach((text) => { text.hidden = false; });
    });
  }

  function form(node) {
    return node.closest("form[data-targets]");
  }

  document.addEventListener("input", (event) => {
    const owner = form(event.target);
    if (owner && event.target.type !== "search") changed();
    if (event.target.matches("input[data-weight]")) total(owner);
  });
  document.addEventListener("click", (event) => {
    const remove = event.target.closest("[data-remove-row]");
    if (remove) {
      const owner = form(remove);
      remove.closest("tr").remove();
      changed();
      total(owner);
    }
    if (!event.target.closest(".target-search")) {
      document.querySelectorAll(".target-results").forEach((box) => box.replaceChildren());
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const rows = event.target.closest && event.target.closest("[data-target-rows]");
    if (!rows) return;
    // What is there already is not added again: its weight gets the focus.
    const added = rows.querySelector("tr:last-child");
    const key = added && added.dataset.key;
    const same = key ? [...rows.querySelectorAll("tr")].filter((row) => row.dataset.key === key) : [];
    if (same.length > 1) added.remove();
    else changed();
    const weight = same.length ? same[0].querySelector("input[data-weight]") : null;
    if (weight) {
      weight.focus();
      weight.select();
    }
    document.querySelectorAll(".target-results").forEach((box) => box.replaceChildren());
    total(form(rows));
  });
  // What was typed for publishing is saved with the targets.
  document.addEventListener("formdata", (event) => {
    if (!event.target.matches("form[data-targets]")) return;
    document.querySelectorAll("[data-after-saving] :is(input, textarea)[name]").forEach((field) => {
      if (!event.formData.has(field.name)) event.formData.set(field.name, field.value);
    });
  });
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("form[data-targets]").forEach(total);
  });
})();
