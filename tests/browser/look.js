// Have axe-core look at the page: return rule, help and the first elements of what it finds against the rules of
// `tags`, `but` in some selectors, which another page has shown.
async ([but, tags]) => {
    // Of the same HTML, shown as when nothing was wrong with it, another size or theme decides these alone: they go
    // by colours, sizes and what lies where, and the others by what is there and displayed.
    const OF_SCREEN = [
        "aria-hidden-focus", "avoid-inline-spacing", "blink", "color-contrast", "link-in-text-block", "marquee",
        "scrollable-region-focusable", "target-size", "th-has-data-cells",
    ];
    const parts = [...document.querySelectorAll(but.length ? ".page-head, main" : "html")];
    const shown = parts.flatMap(part => [part.outerHTML, ...[part, ...part.querySelectorAll("*")].map(element => {
        const { display, visibility, contentVisibility } = getComputedStyle(element);
        return `${display} ${visibility} ${contentVisibility}`;
    })]).join();
    const context = { include: [["html"]], exclude: but.map(selector => [selector]) };
    // Of what could be loaded for the rules, none of these needs the style sheets.
    const options = { resultTypes: ["violations"], preload: { assets: ["media"] } };
    const { violations } = await axe.run(context, { ...options, runOnly: shown === window.foundGood ? OF_SCREEN : tags });
    if (!violations.length) window.foundGood = shown;
    // All that axe-core says of a page is many times what anybody reads.
    return violations.map(found => [found.id, found.help, found.nodes.slice(0, 3).map(node => node.html)]);
}
