// A Worker's runtime as far as the example needs it: for each request on standard
// input, one JSON line {cookie}, the module is started and asked, as on Cloudflare.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [wasmExec, wasm] = process.argv.slice(2);
createRequire(import.meta.url)(wasmExec);
const mod = new WebAssembly.Module(readFileSync(wasm));
globalThis.tryCatch = (fn) => {
  try {
    return { result: fn() };
  } catch (error) {
    return { error };
  }
};

async function handle(request) {
  const binding = {};
  globalThis.context = { binding, env: { CARRYON_KEYS: process.env.CARRYON_KEYS }, ctx: {} };
  const go = new Go();
  await new Promise((ready) => {
    const instance = new WebAssembly.Instance(mod, { ...go.importObject, workers: { ready } });
    go.run(instance);
  });
  return binding.handleRequest(request);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { cookie } = JSON.parse(line);
  const response = await handle(new Request("https://app.example/", { headers: cookie ? { cookie } : {} }));
  console.log(JSON.stringify({ status: response.status, cookies: response.headers.getSetCookie(), body: await response.text() }));
}
