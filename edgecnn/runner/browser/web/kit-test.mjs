// Whether this browser gives what the kit was packed with: pixels and feed to the bit, a JPEG and answers within what the kit allows.

import { fetched, readNpy } from "./network.mjs";
import { decoded, feedOf, sizeOf, toPixels } from "./pixels.mjs";

/** { difference, allowed, exact }: of logits, and whether bits were compared. Throws an Error that names what differs. */
export async function selftest(manifest, network) {
  const { golden, preprocessing } = manifest;
  const exact = self.crypto?.subtle !== undefined; // absent where the page is neither on localhost nor over HTTPS
  const [high, wide] = sizeOf(preprocessing.pixels.crop_px);
  const feeds = [];
  const found = [];
  for (const picture of golden.png) {
    const pixels = toPixels(await pictureOf(picture.file), preprocessing.pixels);
    if (exact && (await sha256([text(`["|u1", [${high}, ${wide}, 3]]`), pixels])) !== picture.pixels_sha256) {
      throw new Error(`${picture.file} does not become the golden pixels in this browser`);
    }
    const { feed, shape } = feedOf(pixels, manifest);
    feeds.push(feed);
    found.push(...(await network.run(network.tensor(feed, shape))).logits);
  }
  if (exact && (await sha256(feeds)) !== golden.feed_sha256) {
    throw new Error("golden pixels do not become the golden feed: channels, layout or normalization are not those of the kit");
  }
  if (golden.jpeg) await checkPhoto(golden.jpeg, preprocessing.pixels);
  return { ...(await checkLogits(golden, found)), exact };
}

/** Milliseconds of so many calls on the first golden picture, in order of size. */
export async function timed(manifest, network, calls) {
  const pixels = toPixels(await pictureOf(manifest.golden.png[0].file), manifest.preprocessing.pixels);
  const { feed, shape } = feedOf(pixels, manifest);
  const tensor = network.tensor(feed, shape);
  const samples = [];
  const warmUntil = performance.now() + 2000; // browsers compile WebAssembly a second time while it runs
  while (samples.length < calls) {
    const begin = performance.now();
    await network.run(tensor);
    if (begin > warmUntil) samples.push(performance.now() - begin);
    await new Promise((done) => setTimeout(done)); // the page stays alive
  }
  return samples.sort((one, other) => one - other);
}

async function checkPhoto(photo, recipe) {
  const [made, kept] = [toPixels(await pictureOf(photo.file), recipe), await pictureOf(photo.pixels)];
  if (`${[kept.height, kept.width]}` !== `${sizeOf(recipe.crop_px)}`) throw new Error(`${photo.pixels} is not of the network's size`);
  let levels = 0;
  made.forEach((value, at) => (levels = Math.max(levels, Math.abs(value - kept.data[4 * Math.floor(at / 3) + (at % 3)]))));
  if (levels > photo.max_levels) throw new Error(`${photo.file}: a pixel differs by ${levels} levels, allowed are ${photo.max_levels}`);
}

async function checkLogits(golden, found) {
  const expected = readNpy(await (await fetched(golden.logits)).arrayBuffer());
  if (found.length !== expected.length) throw new Error(`${found.length} answers, ${expected.length} are expected`);
  const difference = Math.max(...found.map((value, each) => Math.abs(value - expected[each])));
  const allowed = golden.logits_tolerance * (Math.max(...expected) - Math.min(...expected));
  if (difference <= allowed) return { difference, allowed };
  throw new Error(`answers differ by up to ${difference.toPrecision(3)}, allowed are ${allowed.toPrecision(3)}`);
}

async function pictureOf(name) {
  return decoded(await (await fetched(name)).blob());
}

function text(said) {
  return new TextEncoder().encode(said);
}

async function sha256(parts) {
  const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
