// Links to a moment: the page's address ends in #t=5.2&layer=layer4&class=12&method=gradcam.

class Links {
  constructor() { this.timer = 0; }

  // Show what the address asks for; what is unknown in it is ignored.
  open() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const fits = e => (asked.get("method") ?? e.method) === e.method
      && (asked.get("class") ?? String(e.index)) === String(e.index) && asked.has("against") === e.counterfactual;
    const index = data.explanations.findIndex(fits);
    if (index >= 0 && (asked.has("method") || asked.has("class") || asked.has("against"))) choose(index);
    if (asked.get("layer") in facts().layers) {
      view.layer = asked.get("layer");
      updateControls();
    }
    const time = parseFloat(asked.get("t"));
    if (player && time >= 0) player.seek(player.nearest(time));
  }

  // The part of the address after # for a frame and for what is shown of it.
  address(frame) {
    const parts = new URLSearchParams({ t: String(+data.times[frame].toFixed(3)) });
    if (view.layer) parts.set("layer", view.layer);
    if (view.shown) {
      parts.set("class", facts().index);
      parts.set("method", facts().method);
    }
    if (facts().counterfactual) parts.set("against", "");
    return `#${parts}`;
  }

  // Write the address, at most three times a second, while the page is a document of its own.
  follow(frame) {
    clearTimeout(this.timer);
    if (location.protocol === "about:") return;
    this.timer = setTimeout(() => history.replaceState(null, "", this.address(frame)), 300);
  }
}
