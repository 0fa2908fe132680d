// Send images one after another and show the answers. Names of files and classes are inserted as text only.
(() => {
  "use strict";
  const answers = document.getElementById("answers");
  const state = document.getElementById("state");
  const files = document.getElementById("files");
  const bytesMax = Number(answers.dataset.bytesMax);
  const leftBehind = new Set(answers.dataset.leftBehind.split("|"));
  const isLeftBehind = ({ name }) => name.startsWith("._") || leftBehind.has(name.toLowerCase());
  const shownMax = 100;
  const tries = 20;
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  const milliseconds = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
  const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  const fresh = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

  const card = (file) => {
    const made = fresh("answer");
    const picture = made.querySelector("img");
    made.querySelector("h2 bdi").textContent = file.name;
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src), { once: true });
    picture.addEventListener("error", () => {
      URL.revokeObjectURL(picture.src);
      picture.parentElement.classList.add("absent");
      picture.replaceWith("no preview");
    }, { once: true });
    picture.src = URL.createObjectURL(file);
    answers.prepend(made);
    while (answers.children.length > shownMax && !answers.lastElementChild.hasAttribute("aria-busy")) {
      answers.lastElementChild.remove();
    }
    return made;
  };

  const line = (kind, text) => {
    const made = document.createElement("p");
    made.className = kind;
    made.textContent = text;
    return made;
  };

  const times = (answer) => {
    const made = line("times", "");
    for (const [name, value] of [["decoding ", answer.decode_ms], ["inference ", answer.inference_ms]]) {
      const figure = document.createElement("b");
      figure.textContent = milliseconds(value);
      made.append(made.childNodes.length ? " · " : "", name, figure);
    }
    return made;
  };

  const classes = (labels) => {
    const list = document.createElement("ol");
    list.className = "classes";
    for (const { label, probability } of labels) {
      const row = fresh("class");
      row.querySelector("bdi").textContent = label;
      row.querySelector(".share").textContent = percent(probability);
      row.querySelector(".bar span").style.setProperty("--share", `${probability * 100}%`);
      list.append(row);
    }
    return list;
  };

  const ask = async (file) => {
    if (file.size > bytesMax) {
      const [size, most] = [file.size, bytesMax].map((bytes) => Number((bytes / 2 ** 20).toPrecision(3)));
      throw new Error(`This file has ${size} MiB; the limit is ${most} MiB.`);
    }
    if (file.size === 0) throw new Error("This file is empty.");
    for (let count = 1; ; count += 1) {
      let reply;
      try {
        reply = await fetch("/predict", { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
      } catch {
        throw new Error("edgecnn does not answer. Check that it is still running.");
      }
      if ((reply.status === 429 || reply.status === 503) && count < tries) {
        await pause(Number(reply.headers.get("Retry-After")) || 1);
        continue;
      }
      const said = await reply.json().catch(() => ({}));
      if (reply.ok) return said;
      throw new Error(said.error ? said.error.what : `edgecnn refused this request (${reply.status}).`);
    }
  };

  const show = async (file, place) => {
    const said = place.querySelector(".said");
    said.querySelector(".waits").textContent = "Classifying …";
    try {
      const answer = await ask(file);
      const found = answer.labels.length ? classes(answer.labels) : line("none", "no label");
      said.querySelector(".waits").replaceWith(found, times(answer));
      const named = answer.labels.slice(0, answer.several ? undefined : 1);
      const words = named.map(({ label, probability }) => `${label}, ${percent(probability)}`);
      state.textContent = `${file.name}: ${words.join("; ") || "no label"}`;
    } catch (error) {
      said.querySelector(".waits").replaceWith(line("wrong", error.message));
      state.textContent = `${file.name}: ${error.message}`;
    }
    place.removeAttribute("aria-busy");
  };

  let queue = Promise.resolve();
  const take = (chosen) => {
    for (const file of chosen.filter((each) => !isLeftBehind(each))) {
      const place = card(file);
      queue = queue.then(() => show(file, place));
    }
  };

  files.addEventListener("change", () => {
    take([...files.files]);
    files.value = "";
  });
  let inside = 0;
  const dragging = (step) => {
    inside = Math.max(0, inside + step);
    document.body.classList.toggle("dragging", inside > 0);
  };
  document.addEventListener("dragenter", () => dragging(1));
  document.addEventListener("dragleave", () => dragging(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dragging(-inside);
    take([...event.dataTransfer.files]);
  });
})();
