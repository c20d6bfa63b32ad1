// Draw the charts of a page from the options that the server built.
(function () {
  "use strict";
  const library = document.currentScript.dataset.echarts;
  // Okabe and Ito's palette, told apart by people with any colour vision; darker where text contrast needs it.
  const light = ["#0b62a8", "#d55e00", "#00805e", "#b0578d", "#8a6d00", "#3c8fc4", "#5b6470", "#7a3e9d"];
  const dark = ["#5aa9e6", "#ff9e4a", "#3ecf9f", "#e08fc0", "#e8cf4c", "#9ad1f5", "#aab4c0", "#c39be0"];
  let loading = null;

  function load() {
    loading =
      loading ||
      new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = library;
        script.onload = done;
        script.onerror = failed;
        document.head.append(script);
      });
    return loading;
  }
  const isDark = () => document.documentElement.dataset.bsTheme === "dark";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function format(rule, hides, forAxis) {
    const language = document.documentElement.lang || "en";
    const kind = (rule && rule.format) || "";
    const places = rule && rule.places;
    if (hides && kind !== "percent" && kind !== "count") return () => "•••";
    const options =
      kind === "percent"
        ? { style: "percent", minimumFractionDigits: 0, maximumFractionDigits: places ?? (forAxis ? 1 : 2) }
        : { maximumFractionDigits: places ?? 2 };
    if (forAxis && kind === "money") Object.assign(options, { notation: "compact", maximumFractionDigits: 2 });
    const formatter = new Intl.NumberFormat(language, options);
    const unit = kind === "money" && !forAxis && rule.currency ? `${rule.currency}\u00a0` : "";
    return (value) =>
      value === null || value === undefined || value === "-" || Number.isNaN(Number(value))
        ? "—"
        : unit + formatter.format(value).replace("-", "\u2212");
  }

  // A day as the pages write it: 25 Nov 2025, or 25.11.2025 for who chose that.
  function day(value) {
    const isGerman = document.documentElement.lang === "en-de";
    const parts = isGerman
      ? { day: "2-digit", month: "2-digit", year: "numeric" }
      : { day: "numeric", month: "short", year: "numeric" };
    return new Intl.DateTimeFormat(isGerman ? "de" : "en-GB", parts).format(new Date(value)).replace("Sept", "Sep");
  }

  function style(option, rule, hides) {
    const text = colour("--tblr-secondary") || "#666";
    const line = isDark() ? "rgba(255,255,255,.14)" : "rgba(0,0,0,.1)";
    const result = { ...option };
    delete result.roboblock;
    result.color = result.color || (isDark() ? dark : light);
    result.backgroundColor = "transparent";
    result.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily, color: text, ...result.textStyle };
    result.animation = option.animation !== false && !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    result.animationDuration = 250;
    result.aria = { enabled: true, decal: { show: false }, ...result.aria };
    result.grid = result.grid || { left: 8, right: 32, top: 32, bottom: 8, containLabel: true };
    // A line of days names its first and last, which stay within the chart.
    const ends = { showMinLabel: true, showMaxLabel: true, alignMinLabel: "left", alignMaxLabel: "right" };
    const both = (axis, change) => (Array.isArray(axis) ? axis.map(change) : axis && change(axis));
    // Lines of an axis lie no closer than their labels can tell.
    const isPercent = rule && rule.format === "percent";
    const apart = isPercent ? { minInterval: 10 ** -((rule.places ?? 1) + 2) } : {};
    const dress = (axis) => ({
      ...(axis.type === "value" ? apart : {}),
      ...axis,
      axisLabel: {
        color: text,
        hideOverlap: true,
        ...(axis.boundaryGap === false || axis.type === "time" ? ends : {}),
        ...(axis.type === "value" ? { formatter: format(rule, hides, true) } : {}),
        ...(axis.type === "time" ? { formatter: day } : {}),
        ...axis.axisLabel,
      },
      ...(axis.type === "time" ? { axisPointer: { label: { formatter: (found) => day(found.value) } } } : {}),
      axisLine: { lineStyle: { color: line }, ...axis.axisLine },
      splitLine: { show: axis.type === "value", lineStyle: { color: line }, ...axis.splitLine },
    });
    result.xAxis = both(result.xAxis, dress);
    result.yAxis = both(result.yAxis, dress);
    if (result.legend)
      result.legend = { icon: "roundRect", itemHeight: 8, itemWidth: 14, top: 0, type: "scroll", ...result.legend,
        textStyle: { color: text } };
    const value = format(rule, hides, false);
    result.tooltip = {
      confine: true,
      backgroundColor: colour("--tblr-bg-surface") || (isDark() ? "#1b2434" : "#fff"),
      borderColor: line,
      textStyle: { color: colour("--tblr-body-color") || text },
      valueFormatter: (found) => value(Array.isArray(found) ? found[found.length - 1] : found),
      trigger: result.xAxis ? "axis" : "item",
      ...result.tooltip,
    };
    return result;
  }

  const shown = new Map();
  let onPaper = false;
  function draw(element) {
    const source = document.getElementById(element.dataset.chart);
    if (!source) return;
    const option = JSON.parse(source.textContent);
    const hides = element.hasAttribute("data-hides-amounts");
    const existing = window.echarts.getInstanceByDom(element);
    if (existing) existing.dispose();
    element.style.height = `${element.dataset.height || 280}px`;
    const instance = window.echarts.init(element, null, { renderer: "svg" });
    const dressed = style(option, option.roboblock, hides);
    // A page is printed as it stands: an animation would be caught at its beginning.
    if (onPaper) dressed.animation = false;
    instance.setOption(dressed);
    shown.set(element, instance);
    resized.observe(element);
  }
  const resized = new ResizeObserver((entries) =>
    entries.forEach((entry) => {
      const instance = shown.get(entry.target);
      if (instance && entry.target.clientWidth) instance.resize();
    })
  );

  function drawAll() {
    for (const [element, instance] of shown) {
      if (!element.isConnected) {
        instance.dispose();
        resized.unobserve(element);
        shown.delete(element);
      }
    }
    const waiting = [...document.querySelectorAll("[data-chart]")].filter((element) => !shown.has(element));
    if (waiting.length) load().then(() => waiting.forEach(draw));
  }
  function redraw() {
    if (window.echarts) [...shown.keys()].filter((element) => element.isConnected).forEach(draw);
  }

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:load", drawAll);
  document.addEventListener("themechange", redraw);
  // On paper: light colours, and the width of the page.
  window.addEventListener("beforeprint", () => {
    document.documentElement.dataset.printTheme = document.documentElement.dataset.bsTheme;
    document.documentElement.dataset.bsTheme = "light";
    onPaper = true;
    redraw();
    // Scale with the paper, which is narrower than the window.
    document.querySelectorAll(".chart svg").forEach((svg) => {
      svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    });
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.dataset.bsTheme = document.documentElement.dataset.printTheme;
    onPaper = false;
    redraw();
  });
})();
