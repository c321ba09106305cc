"use strict";
(() => {
  const tracks = JSON.parse(document.getElementById("tracks").textContent);
  const player = document.getElementById("player");
  if (!player || !tracks.length) return;

  const FADE_S = 0.006; // time constant of the switch: short, and no click
  const AHEAD_S = 0.03; // sources start together, this much later
  const find = (query) => player.querySelector(query);
  const picks = [...player.querySelectorAll(".pick")];
  const waves = [...player.querySelectorAll(".lane path")];
  const play = find("#play"), match = find("#match"), loop = find("#loop");
  const seek = find("#seek"), time = find("#time"), status = find("#status");
  const seconds = Number(seek.max);

  let context = null, buffers = [], gains = [], nodes = [];
  let loading = null, playing = false, began = 0, offset = 0;
  let current = Number(player.dataset.first);

  // --- where it is -----------------------------------------------------------------------------

  function position() {
    if (!playing) return offset;
    const at = offset + Math.max(0, context.currentTime - began);
    return loop.ariaPressed === "true" ? at % seconds : Math.min(at, seconds);
  }

  const heads = [...document.querySelectorAll("[data-timeline] .area, .lane")].map((area) => {
    const head = document.createElement("div");
    head.className = "head";
    area.append(head);
    return head;
  });

  function show() {
    const at = position();
    document.body.classList.toggle("begun", playing || at > 0);
    for (const head of heads) head.style.left = `${(100 * at) / seconds}%`;
    seek.value = at;
    seek.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
    time.textContent = `${at.toFixed(2)} / ${seconds.toFixed(2)} s`;
  }

  function follow() {
    if (!playing) return;
    show();
    requestAnimationFrame(follow);
  }

  // --- sound -----------------------------------------------------------------------------------

  function decoded(track) {
    const bytes = Uint8Array.from(atob(track.flac), (c) => c.charCodeAt(0));
    return context.decodeAudioData(bytes.buffer);
  }

  function load() {
    context = new AudioContext();
    context.onstatechange = () => { player.dataset.context = context.state; };
    gains = tracks.map(() => {
      const gain = context.createGain();
      gain.gain.value = 0;
      gain.connect(context.destination);
      return gain;
    });
    return Promise.all(tracks.map(decoded)).then((found) => { buffers = found; });
  }

  const shownDb = (track) => (match.ariaPressed === "true" ? track.matchedDb : track.plainDb);

  function level() {
    tracks.forEach((track, i) => {
      const db = shownDb(track);
      const sign = db < -0.05 ? "\u2212" : "+";
      picks[i].querySelector(".gain").textContent = `${sign}${Math.abs(db).toFixed(1)} dB`;
      if (!context) return;
      const gain = i === current ? 10 ** ((db - track.storedDb) / 20) : 0;
      gains[i].gain.setTargetAtTime(gain, context.currentTime, FADE_S);
    });
  }

  function stopNodes() {
    for (const node of nodes) {
      node.onended = null;
      node.stop();
      node.disconnect();
    }
    nodes = [];
  }

  function startNodes(at) {
    stopNodes();
    offset = at;
    began = context.currentTime + AHEAD_S;
    nodes = buffers.map((buffer, i) => {
      const node = context.createBufferSource();
      node.buffer = buffer;
      node.loop = loop.ariaPressed === "true";
      node.connect(gains[i]);
      node.start(began, at);
      return node;
    });
    nodes[0].onended = () => { pause(0); };
  }

  async function start() {
    loading = loading || load();
    status.textContent = "";
    try {
      await loading;
      await context.resume();
    } catch (error) {
      status.textContent = `This browser cannot play the sounds (${error.message}).`;
      return;
    }
    if (playing) return;
    startNodes(offset >= seconds - 0.02 ? 0 : offset);
    level();
    playing = true;
    state();
    follow();
  }

  function pause(at = position()) {
    stopNodes();
    playing = false;
    offset = at;
    state();
    show();
  }

  function state() {
    player.dataset.playing = playing;
    play.querySelector("b").textContent = playing ? "Pause" : "Play";
    play.querySelector("path").setAttribute("d", playing ? "M1 0H4V12H1ZM8 0H11V12H8Z" : "M1 0L12 6L1 12Z");
  }

  function go(at) {
    const to = Math.min(Math.max(at, 0), seconds);
    if (playing) startNodes(to);
    else offset = to;
    show();
  }

  function choose(number) {
    current = number;
    picks.forEach((pick, i) => { pick.ariaPressed = String(i === current); });
    waves.forEach((wave, i) => { wave.toggleAttribute("hidden", i !== current); });
    level();
  }

  function toggle(button) {
    const at = position();
    button.ariaPressed = String(button.ariaPressed !== "true");
    if (button === match) level();
    else if (playing) startNodes(at);
  }

  // --- hands -----------------------------------------------------------------------------------

  const playOrPause = () => (playing ? pause() : start());
  play.addEventListener("click", playOrPause);
  match.addEventListener("click", () => toggle(match));
  loop.addEventListener("click", () => toggle(loop));
  seek.addEventListener("input", () => go(Number(seek.value)));
  picks.forEach((pick, i) => pick.addEventListener("click", () => choose(i)));
  for (const area of document.querySelectorAll("[data-timeline] .area")) {
    area.addEventListener("click", (event) => {
      const box = area.getBoundingClientRect();
      go(((event.clientX - box.left) / box.width) * seconds);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === " ") {
      if (event.target.closest("button, a, summary")) return; // space presses these
      event.preventDefault();
      playOrPause();
    } else if (event.key >= "1" && event.key <= String(tracks.length)) {
      choose(Number(event.key) - 1);
    } else if (event.key === "l") {
      toggle(loop);
    } else if (event.key === "m") {
      toggle(match);
    }
  });

  document.body.classList.add("ready");
  choose(current);
  state();
  show();
})();
