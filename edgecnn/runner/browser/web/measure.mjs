// Takes work from the server that started this page: open the network, run it, time it. See edgecnn/runner/browser/__init__.py.

import { openManifest, openNetwork } from "./network.mjs";

const work = `/work/${location.hash.slice(1)}`;
const said = [];
let manifest, network;

const deeds = {
  async open({ threads = 1, trace, software }) {
    if (threads > 1 && !self.crossOriginIsolated) {
      throw Object.assign(new Error("it does not isolate the page from other origins, as its server asks"), { lacksThreads: true });
    }
    manifest = await openManifest();
    if (trace) listen();
    network = await openNetwork(manifest, { threads, verbose: trace, software });
    return { head: { adapter: network.adapter } };
  },

  async run({ shape }, body) {
    const { logits, shape: given } = await network.run(network.tensor(numbersOf(body), shape));
    return { head: { shape: given }, body: logits };
  },

  async time({ shape: [feeds, ...shape], count, limit_ms }, body) {
    const all = numbersOf(body);
    const size = all.length / feeds;
    const tensors = Array.from({ length: feeds }, (_, each) => network.tensor(all.slice(each * size, (each + 1) * size), shape));
    const samples_ms = [];
    const stop = performance.now() + limit_ms;
    for (let call = 0; call < count; call++) {
      const tensor = tensors[call % feeds];
      const begin = performance.now();
      await network.run(tensor);
      const end = performance.now();
      samples_ms.push(end - begin);
      if (end >= stop) break;
    }
    return { head: { samples_ms } };
  },

  async said() {
    return { head: { said } };
  },
};

function numbersOf(body) {
  return new (manifest.model.input.dtype === "uint8" ? Uint8Array : Float32Array)(body);
}

function listen() {
  for (const level of ["debug", "log", "info", "warn", "error"]) console[level] = (...words) => said.push(words.join(" "));
}

function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  return [JSON.parse(text), buffer.slice(4 + length)];
}

function packed(head, body) {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, text.length, true);
  return new Blob([length, text, ...(body ? [body] : [])]);
}

for (;;) {
  let answer;
  try {
    answer = await fetch(work);
  } catch {
    break; // the server has ended
  }
  if (answer.status === 204) continue;
  if (!answer.ok) break;
  const [head, body] = unpacked(await answer.arrayBuffer());
  let done;
  try {
    done = await deeds[head.do](head, body);
  } catch (error) {
    done = { head: { error: String(error?.message ?? error), lacks_gpu: error?.lacksGpu, lacks_threads: error?.lacksThreads } };
  }
  await fetch(work, { method: "POST", body: packed({ ...done.head, number: head.number }, done.body) });
}
