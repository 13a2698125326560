// page.mjs WASM GLUE PAGE DEVELOPMENT-PAGE: the module under node, then the page in the browser. One process, so that
// the command line is asked only once about each case.
await import("./parity.mjs");
await import("./browser.mjs");
