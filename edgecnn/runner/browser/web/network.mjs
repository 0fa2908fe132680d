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

export function usesGpu(manifest) {
  return manifest.session.module === "webgpu_browser";
}

/** { name, software } of the GPU that this browser gives a page, null where it gives none. */
export async function adapterHere() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return null;
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  const software = isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  return { name: description || `${vendor} ${architecture}`.trim() || "unnamed", software };
}

export async function openNetwork(manifest, { threads, verbose = false } = {}) {
  const gpu = usesGpu(manifest);
  if (gpu && !(await adapterHere())) throw new Error("this browser gives its pages no GPU: it has no WebGPU adapter");
  const ort = await import(gpu ? "./ort.webgpu.min.mjs" : "./ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = here.href;
  ort.env.wasm.numThreads = threadsHere(threads);
  const asked = { executionProviders: [gpu ? "webgpu" : "wasm"], graphOptimizationLevel: "all" };
  if (verbose) Object.assign(asked, { logSeverityLevel: 0, logVerbosityLevel: 1 });
  const session = await ort.InferenceSession.create(new URL(manifest.model.entry, here).href, asked);
  return new Network(manifest, session, ort.Tensor);
}

class Network {
  constructor(manifest, session, Tensor) {
    Object.assign(this, { session, Tensor, input: manifest.model.input, output: manifest.model.output.name });
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
