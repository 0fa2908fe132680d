// The kit's own page: tests itself, classifies a picture or what the camera sees, and says how fast it is in this browser.

import { answersOf } from "./answers.mjs";
import { selftest, timed } from "./kit-test.mjs";
import { openManifest, openNetwork, threadsHere } from "./network.mjs";
import { decoded, drawn, feedOf, toPixels } from "./pixels.mjs";

const CALLS = 1000;
const part = (id) => document.getElementById(id);
/** Those of the page's address, as `?threads=1`; all that the browser reports unless it says. */
const threads = Number.parseInt(new URLSearchParams(location.search).get("threads"), 10) || undefined;
let manifest, network, watching;

async function begin() {
  manifest = await openManifest();
  part("name").textContent = document.title = manifest.name;
  network = await openNetwork(manifest, { threads });
  const what = `${manifest.candidate.precision} ${place()}`;
  part("about").textContent = `${what}. Testing itself…`;
  const { difference, allowed, exact } = await selftest(manifest, network);
  part("about").textContent = `${what}. Pictures stay in this browser.`;
  const bits = exact ? "pixels are the same to the bit" : "pixels were not compared to the bit, for which a page needs HTTPS or localhost";
  part("test").textContent =
    `Self-test passed: answers differ by at most ${difference.toPrecision(2)} (${allowed.toPrecision(2)} allowed), ${bits}.`;
  usable(true);
}

function place() {
  const { adapter } = network;
  if (adapter) return `in WebGPU, on ${adapter.software ? "software in place of a GPU: " : ""}${adapter.name}`;
  const used = threadsHere(threads);
  const alone = self.crossOriginIsolated ? "" : ", since its server does not isolate the page from other origins";
  return `in WebAssembly, ${used} ${used === 1 ? "thread" : "threads"}${alone}`;
}

async function classify(picture) {
  const { feed, shape } = feedOf(toPixels(picture, manifest.preprocessing.pixels), manifest);
  const { logits } = await network.run(network.tensor(feed, shape));
  const found = answersOf(logits, manifest);
  part("answers").replaceChildren(...(found.length ? found.map(row) : ["no label"]));
}

function row([share, label]) {
  const [item, name, bar, figure] = ["li", "span", "i", "b"].map((tag) => document.createElement(tag));
  name.textContent = label;
  bar.style.width = `${100 * share}%`;
  figure.textContent = `${(100 * share).toFixed(1)} %`;
  item.append(name, bar, figure);
  return item;
}

function usable(yes) {
  for (const id of ["file", "camera", "time"]) part(id).disabled = !yes;
  if (network?.adapter && network.adapter.software !== false) part("time").disabled = true; // its time says nothing of a GPU
}

/** One thing at a time; what goes wrong is said. */
async function during(work) {
  part("trouble").textContent = "";
  usable(false);
  try {
    await work();
  } catch (error) {
    part("trouble").textContent = String(error?.message ?? error);
  } finally {
    usable(true);
  }
}

function stopWatching() {
  for (const track of watching?.getTracks() ?? []) track.stop();
  watching = undefined;
  part("video").hidden = true;
  part("camera").textContent = "Use the camera";
}

part("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file === undefined) return;
  part("answers").replaceChildren();
  part("seen").hidden = true;
  during(async () => {
    try {
      await classify(await decoded(file, manifest.preprocessing.pixels.grey_window));
    } catch (error) {
      throw new Error(`${file.name}: ${error.message}`);
    }
    URL.revokeObjectURL(part("seen").src);
    part("seen").src = URL.createObjectURL(file);
    part("seen").hidden = false;
  });
  target.value = ""; // the same file may be chosen again
});

part("camera").addEventListener("click", async () => {
  if (watching) return stopWatching();
  await during(async () => {
    const video = part("video");
    watching = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    try {
      video.srcObject = watching;
      await video.play();
      video.hidden = false;
      part("seen").hidden = true;
      part("camera").textContent = "Stop the camera";
      part("camera").disabled = false;
      while (watching) {
        await classify(drawn(video));
        await new Promise(requestAnimationFrame);
      }
    } finally {
      stopWatching();
    }
  });
});

part("time").addEventListener("click", () =>
  during(async () => {
    part("timed").textContent = "…";
    const samples = await timed(manifest, network, CALLS);
    const at = (share) => samples[Math.floor(share * samples.length)].toFixed(2);
    part("timed").textContent = `p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, of ${CALLS.toLocaleString("en")} calls in this page alone.`;
  }),
);

begin().catch((error) => {
  part("about").textContent = "";
  part("trouble").textContent = `${error?.lacksGpu ? "this browser gives its pages no GPU: " : ""}${error?.message ?? error}`;
});
