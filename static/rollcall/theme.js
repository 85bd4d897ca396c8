// Sets light or dark before the first paint, so it is a plain script in the head. The choice lives
// in this browser, beside the one that /admin/ keeps of its own as "theme"; without one the system
// decides, also when it changes while the page is open.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("rollcall.theme") || "system";
    const theme = chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
    document.documentElement.dataset.bsTheme = theme;
    document.documentElement.dataset.themeChoice = chosen;
  };
  dark.addEventListener("change", apply);
  addEventListener("rollcall:theme", apply);
  addEventListener("storage", apply);
  apply();
})();
