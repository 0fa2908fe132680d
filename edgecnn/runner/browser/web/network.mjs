// A kit's files, and its network in ONNX Runtime Web.

const here = new URL("./", import.meta.url);

/** kit.json beside this file. */
export async function openManifest() {
  return (await fetched("kit.json")).json();
}

export async function fetched(name) {
  const answer = await fetch(new URL(name, here));
  if (!answer.ok) throw new Error(`${name}: the server answers ${answer.status}`);
  return answer;
}

/** Threads need a page that is isolated from other origins; elsewhere there is one. */
export function threadsHere(wanted) {
  return self.crossOriginIsolated ? (wanted ?? navigator.hardwareConcurrency ?? 1) : 1;
}

/** `software`: whether one in place of a GPU will do. Throws an Error, which `lacksGpu` where the kit wants one and there is none. */
export async function openNetwork(manifest, { threads, verbose = false, software = true } = {}) {
  const gpu = manifest.session.module === "webgpu_browser";
  const found = gpu ? await adapterHere() : null;
  if (gpu) requireGpu(found, software);
  if (gpu) threads = 1; // of what falls back to WebAssembly, the same in the page that is measured as in the kit's own
  const ort = await import(gpu ? "./ort.webgpu.min.mjs" : "./ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = here.href;
  ort.env.wasm.numThreads = threadsHere(threads);
  const asked = { executionProviders: [gpu ? "webgpu" : "wasm"], graphOptimizationLevel: "all" };
  if (verbose) Object.assign(asked, { logSeverityLevel: 0, logVerbosityLevel: 1 });
  const session = await ort.InferenceSession.create(new URL(manifest.model.entry, here).href, asked);
  const adapter = gpu ? described((await ort.env.webgpu.device).adapterInfo) : null;
  if (adapter) adapter.software ??= isPlayed(found);
  if (adapter?.software && !software) throw lacking(`what it took in the end is software: ${adapter.name}`);
  return new Network(manifest, session, ort.Tensor, adapter);
}

/** Asked again for a while: a browser whose GPU process has only begun says that there is none. */
async function adapterHere() {
  const end = performance.now() + 3000;
  while (navigator.gpu && performance.now() < end) {
    const adapter = await Promise.race([navigator.gpu.requestAdapter(), after(3000)]); // one that dies meanwhile never answers
    if (adapter) return adapter;
    await after(200);
  }
  return null;
}

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function requireGpu(adapter, software) {
  if (!self.isSecureContext) throw lacking("a page gets one by HTTPS or localhost alone");
  if (!adapter) throw lacking("it has no WebGPU adapter");
  if (software || isPlayed(adapter) === false) return; // a browser that does not say is not believed
  const name = described(adapter.info).name;
  throw lacking(isPlayed(adapter) ? `all that it offers is software: ${name}` : `it does not say whether this is software: ${name}`);
}

/** Whether it is software in place of a GPU; undefined where the browser does not say. */
const isPlayed = (adapter) => adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter;

const lacking = (why) => Object.assign(new Error(why), { lacksGpu: true });

/** { name, software }, the latter undefined where the browser does not say. */
function described({ vendor = "", architecture = "", description, isFallbackAdapter } = {}) {
  return { name: description || `${vendor} ${architecture}`.trim() || "an adapter without a name", software: isFallbackAdapter };
}

/** `adapter`: what it runs on, null in WebAssembly. */
class Network {
  constructor(manifest, session, Tensor, adapter) {
    Object.assign(this, { session, Tensor, adapter, input: manifest.model.input, output: manifest.model.output.name });
  }

  tensor(numbers, shape) {
    return new this.Tensor(this.input.dtype, numbers, shape);
  }

  /** Float32Array of logits, and their shape. */
  async run(tensor) {
    const found = (await this.session.run({ [this.input.name]: tensor }))[this.output];
    return { logits: found.data, shape: found.dims };
  }
}

/** Numbers of a .npy file of little-endian float32. */
export function readNpy(buffer) {
  const view = new DataView(buffer);
  const [length, start] = view.getUint8(6) === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  return new Float32Array(buffer.slice(start + length));
}
