// Draws /openapi.json in the browser, with what this service itself serves.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

globalThis.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  // A batch cannot be typed in; what is read can be tried.
  supportedSubmitMethods: ["get"],
  // The default asks a service on the internet.
  validatorUrl: null,
});
