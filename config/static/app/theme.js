// Set the theme before the first paint: the person's choice, or the device's.
(function () {
  const root = document.documentElement;
  const device = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    const wish = root.dataset.theme || "auto";
    const dark = wish === "dark" || (wish === "auto" && device.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    root.classList.add("js");
    document.dispatchEvent(new CustomEvent("themechange"));
  }
  apply();
  device.addEventListener("change", apply);
})();
