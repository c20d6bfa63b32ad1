// The words for a kind's fields follow its ticks: all of them, or some.
document.addEventListener("change", (event) => {
  const group = event.target.closest("details[data-share]");
  if (!group) return;
  const summary = group.querySelector("summary");
  const all = [...group.querySelectorAll('input[type="checkbox"]')].every((box) => box.checked);
  summary.textContent = all ? summary.dataset.all : summary.dataset.some;
});
