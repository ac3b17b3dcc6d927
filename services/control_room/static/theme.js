// Sets the theme before the first paint. A choice of the viewer's is kept in this browser, and nowhere else.
const theme = localStorage.getItem("theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
