// From a picture file to the pixels and the feed of a network: what the kit's runner/pixels.py does with Pillow and numpy. Of opaque
// 8-bit pictures without loss they are the same to the bit; a JPEG's are what the browser's decoder makes of it.

const BITS = 22; // Pillow's fixed point for 8-bit channels: 32 bits less 8 of the number and 2 of head room
const MAX_PIXELS = 178956970; // as there
const FILTERS = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { reach: 2, weight: cubic },
};

/** A file as RGBA, upright, transparency over white. Of 16-bit levels a browser keeps eight, too few for a window of them. */
export async function decoded(blob, greyWindow) {
  if (greyWindow && (await isDeepPng(blob))) {
    throw new Error(`a browser keeps 8 bits of this picture's 16, and the network looks at levels ${greyWindow.join(" to ")}`);
  }
  const asked = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  const bitmap = await createImageBitmap(blob, asked);
  try {
    return drawn(bitmap);
  } finally {
    bitmap.close();
  }
}

async function isDeepPng(blob) {
  const head = new Uint8Array(await blob.slice(0, 25).arrayBuffer());
  return head[0] === 0x89 && head[1] === 0x50 && head[24] === 16; // PNG, 11.2.2: the bit depth follows the two sides
}

/** What a bitmap or a video shows now. */
export function drawn(source) {
  const width = source.videoWidth ?? source.width;
  const height = source.videoHeight ?? source.height;
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "white";
  brush.fillRect(0, 0, width, height);
  brush.drawImage(source, 0, 0);
  const seen = brush.getImageData(0, 0, width, height);
  if (seen.data[3] !== 255) throw new Error(`this browser draws no picture of ${width} × ${height} pixels`);
  return seen;
}

/** Height and width: a square is written as its side, any other size as "48x192". */
export function sizeOf(stated) {
  const sides = String(stated).split("x").map(Number);
  return [sides[0], sides.at(-1)];
}

/** Resized, centre cropped, filled where the crop is larger: RGB bytes (crop height, crop width, 3). */
export function toPixels({ data, width, height }, { resize_px, crop_px, interpolation, resize = "crop", fill = [0, 0, 0] }) {
  const [wide, high] = resizedTo(width, height, sizeOf(resize_px), resize);
  if (wide * high > MAX_PIXELS) throw new Error(`${width} × ${height} pixels would be ${wide} × ${high} when resized`);
  const [cropHigh, cropWide] = sizeOf(crop_px);
  let rgb = withoutAlpha(data);
  if (wide !== width || high !== height) rgb = resized(rgb, width, height, wide, high, FILTERS[interpolation]);
  const canvas = { wide: Math.max(wide, cropWide), high: Math.max(high, cropHigh) };
  const border = resize === "line" ? 0 : Math.floor(Math.max(cropWide - wide, 0) / 2);
  const left = halfToEven((canvas.wide - cropWide) / 2) - border;
  const top = halfToEven((canvas.high - cropHigh) / 2) - Math.floor(Math.max(cropHigh - high, 0) / 2);
  const pixels = new Uint8Array(cropWide * cropHigh * 3);
  for (let y = 0; y < cropHigh; y++) {
    for (let x = 0; x < cropWide; x++) {
      const [from, row] = [x + left, y + top];
      const outside = from < 0 || row < 0 || from >= wide || row >= high;
      for (let channel = 0; channel < 3; channel++) {
        pixels[3 * (y * cropWide + x) + channel] = outside ? fill[channel] : rgb[3 * (row * wide + from) + channel];
      }
    }
  }
  return pixels;
}

function resizedTo(width, height, [high, wide], mode) {
  if (mode === "stretch") return [wide, high];
  if (mode === "line") return [Math.min(wide, Math.ceil((width * high) / height)), high];
  const upright = width * high <= wide * height; // of a shape that the width decides where it is to cover
  if (mode === "letterbox") {
    return upright ? [Math.max(1, halfToEven((width * high) / height)), high] : [wide, Math.max(1, halfToEven((height * wide) / width))];
  }
  if (upright) return [wide, Math.max(high, Math.trunc((wide * height) / width))];
  return [Math.max(wide, Math.trunc((high * width) / height)), high];
}

/** One image as the network wants it. */
export function feedOf(pixels, manifest) {
  const { mean, std } = manifest.preprocessing.normalization;
  const { dtype, layout } = manifest.model.input;
  const [high, wide] = sizeOf(manifest.preprocessing.pixels.crop_px);
  const plane = high * wide;
  const feed = new (dtype === "uint8" ? Uint8Array : Float32Array)(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const scale = Math.fround(1 / (255 * std[channel]));
    const shift = Math.fround(-mean[channel] / std[channel]);
    for (let pixel = 0; pixel < plane; pixel++) {
      const value = pixels[3 * pixel + channel];
      const place = layout === "NCHW" ? channel * plane + pixel : 3 * pixel + channel;
      feed[place] = dtype === "uint8" ? value : Math.fround(Math.fround(value * scale) + shift);
    }
  }
  return { feed, shape: layout === "NCHW" ? [1, 3, high, wide] : [1, high, wide, 3] };
}

function withoutAlpha(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    for (let channel = 0; channel < 3; channel++) rgb[to++] = rgba[from + channel];
  }
  return rgb;
}

/** As Pillow 13: across first, then down, or down first where far more rows go than columns. Each rounds to whole levels. */
function resized(rgb, width, height, wide, high, filter) {
  if (height - high > 2 * Math.max(0, width - wide)) return alongRows(down(rgb, width, height, high, filter), width, high, wide, filter);
  return down(alongRows(rgb, width, height, wide, filter), wide, height, high, filter);
}

function down(rgb, width, height, high, filter) {
  if (high === height) return rgb;
  return transposed(alongRows(transposed(rgb, width, height), height, width, high, filter), high, width);
}

function alongRows(rgb, width, height, wide, filter) {
  if (wide === width) return rgb;
  const made = new Uint8Array(wide * height * 3);
  const scale = width / wide;
  const stretch = Math.max(scale, 1);
  const shrink = 1 / stretch;
  const support = filter.reach * stretch;
  for (let x = 0; x < wide; x++) {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(width, Math.trunc(centre + support + 0.5)) - first;
    const weights = Array.from({ length: count }, (_, each) => filter.weight((each + first - centre + 0.5) * shrink));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    const fixed = weights.map((weight) => rounded((whole ? weight / whole : weight) * 2 ** BITS));
    for (let y = 0; y < height; y++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** (BITS - 1);
        for (let each = 0; each < count; each++) sum += rgb[3 * (y * width + first + each) + channel] * fixed[each];
        made[3 * (y * wide + x) + channel] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));
      }
    }
  }
  return made;
}

function transposed(rgb, width, height) {
  const made = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) made[3 * (x * height + y) + channel] = rgb[3 * (y * width + x) + channel];
    }
  }
  return made;
}

function rounded(value) {
  return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
}

function halfToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

function cubic(x) {
  const a = -0.5; // Pillow's
  const away = Math.abs(x);
  if (away < 1) return ((a + 2) * away - (a + 3)) * away * away + 1;
  if (away < 2) return (((away - 5) * away + 8) * away - 4) * a;
  return 0;
}
