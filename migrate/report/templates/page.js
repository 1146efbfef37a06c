"use strict";
(() => {
  const bar = document.getElementById("filter");
  const text = document.getElementById("q");
  const dataset = document.getElementById("d");
  const kind = document.getElementById("k");
  const said = document.getElementById("said");
  const rows = [...document.querySelectorAll("[data-f]")];
  const words = rows.map((row) => {
    const heading = row.closest("details.group")?.querySelector("summary")?.textContent ?? "";
    return [row.dataset.d, row.dataset.w ?? "", heading, row.textContent].join(" ").toLowerCase();
  });
  const groups = [...document.querySelectorAll("details.group")];
  const closed = groups.map((group) => group.open);

  function apply() {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = wanted.length > 0 || dataset.value !== "" || kind.value !== "";
    let shown = 0;
    rows.forEach((row, at) => {
      const fits = (dataset.value === "" || row.dataset.d === dataset.value)
        && (kind.value === "" || row.dataset.f === kind.value)
        && wanted.every((word) => words[at].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    groups.forEach((group, at) => {
      const left = group.querySelector("[data-f]:not([hidden])") !== null;
      group.hidden = active && !left;
      group.open = active ? left : closed[at];
    });
    const sentence = active ? said.dataset.some : said.dataset.every;
    said.textContent = sentence.replace("{shown}", shown).replace("{all}", rows.length);
  }

  for (const field of [text, dataset, kind]) field.addEventListener("input", apply);
  document.getElementById("clear").addEventListener("click", () => {
    text.value = dataset.value = kind.value = "";
    apply();
    text.focus();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { text.value = ""; apply(); }
  });
  addEventListener("beforeprint", () => groups.forEach((group) => { group.open = true; }));
  addEventListener("afterprint", apply);
  bar.hidden = rows.length === 0;
  const given = new URLSearchParams(location.hash.slice(1));
  text.value = given.get("q") ?? "";
  dataset.value = given.get("d") ?? "";
  kind.value = given.get("k") ?? "";
  apply();
})();
