"use strict";
(() => {
  const form = document.querySelector("form.find"), count = document.querySelector("#count");
  const cards = [...document.querySelectorAll(".card")];
  const plain = text => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  const words = new Map(cards.map(card => [card, plain(card.textContent + " " + card.dataset.words)]));

  const fits = (card, wanted) => Object.entries(wanted).every(([name, value]) =>
    !value || (name === "search"
      ? plain(value).split(/\s+/).every(word => words.get(card).includes(word))
      : card.dataset[name].split("|").includes(value)));

  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    let shown = 0;
    for (const card of cards) {
      card.hidden = !fits(card, wanted);
      shown += !card.hidden;
    }
    count.textContent = shown === cards.length ? `${shown} papers` : `${shown} of ${cards.length} papers`;
    const kept = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    try { history.replaceState(null, "", kept ? `#${kept}` : location.pathname); } catch { /* some file:// viewers refuse */ }
  };

  const read = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const field of form.elements) if (field.name) field.value = wanted.get(field.name) ?? "";
  };

  form.hidden = false;
  document.querySelector(".result").hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", event => event.preventDefault());
  document.querySelector("#all").addEventListener("click", () => { form.reset(); apply(); form.elements.search.focus(); });
  document.querySelectorAll(".field a").forEach(link => link.addEventListener("click", event => {
    event.preventDefault();
    form.reset();
    form.elements.family.value = link.dataset.family;
    form.elements.role.value = link.dataset.role;
    apply();
    document.querySelector("#papers").scrollIntoView();
    form.elements.search.focus({ preventScroll: true });
  }));
  document.addEventListener("keydown", event => {
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      form.elements.search.focus();
    } else if (event.key === "Escape" && event.target === form.elements.search) {
      form.elements.search.value = "";
      apply();
    }
  });
  if (location.hash.includes("=")) read();
  apply();
})();
