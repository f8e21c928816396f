// Brings the page up to date while its box is ticked. Panels that somebody has opened something in, or is in with the
// keyboard, stay as they are. Without this script the page is the same and stays as it was drawn.
"use strict";
(() => {
  const box = document.getElementById("refresh");
  if (!box) return;
  document.getElementById("live").hidden = false;
  const busy = (panel) => panel.contains(document.activeElement) || panel.querySelector("details[open]");
  const update = async () => {
    if (!box.checked || document.hidden) return;
    const answer = await fetch(location.pathname + location.search, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const panel of document.querySelectorAll("main section")) {
      const newer = page.getElementById(panel.id);
      if (newer && !busy(panel)) panel.replaceWith(newer);
    }
    const time = document.querySelector(".lead time");
    const newer = page.querySelector(".lead time");
    if (time && newer) time.replaceWith(newer);
  };
  setInterval(() => update().catch(() => {}), 5000);
})();
