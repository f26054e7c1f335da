/* genebox.js: a box to type a gene's name in, with the names that fit below it. */

const MOST_OFFERED = 8;

/* Names that begin with what is typed, then those that hold it. */
function matchingGenes(genes, typed) {
  const text = typed.trim().toLowerCase();
  const [begin, hold] = [[], []];
  for (let j = 0; text && j < genes.length && begin.length < MOST_OFFERED; j++) {
    const at = genes[j].toLowerCase().indexOf(text);
    if (at === 0) begin.push(j);
    else if (at > 0 && hold.length < MOST_OFFERED) hold.push(j);
  }
  return begin.sort((a, b) => genes[a].length - genes[b].length).concat(hold).slice(0, MOST_OFFERED);
}

class GeneBox {
  /* The element is .element; chosen(j) is called with the gene's number. */
  constructor(id, label, genes, chosen) {
    Object.assign(this, { genes, chosen, offered: [], active: 0 });
    this.list = make("ul", { id: id + "-list", role: "listbox", hidden: true, class: "offered" });
    this.input = make("input", { id, type: "text", autocomplete: "off", spellcheck: "false", role: "combobox", placeholder: "gene name",
      "aria-expanded": "false", "aria-controls": id + "-list", "aria-autocomplete": "list", "aria-label": label,
      oninput: () => this.offer(), onfocus: () => this.offer(), onblur: () => setTimeout(() => this.close(), 150), onkeydown: (e) => this.key(e) });
    this.element = make("div", { class: "genebox" }, this.input, this.list);
  }

  offer() {
    this.offered = matchingGenes(this.genes, this.input.value);
    this.active = 0;
    this.list.textContent = "";
    this.offered.forEach((j, k) => this.list.append(make("li", { role: "option", id: `${this.list.id}-${k}`,
      onpointerdown: (e) => { e.preventDefault(); this.take(k); } }, this.genes[j])));
    this.mark();
    this.list.hidden = !this.offered.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
  }

  mark() {
    [...this.list.children].forEach((e, k) => e.setAttribute("aria-selected", String(k === this.active)));
    if (this.offered.length) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.active}`);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  take(k) {
    if (this.offered[k] === undefined) return;
    this.input.value = this.genes[this.offered[k]];
    this.close();
    this.chosen(this.offered[k]);
  }

  key(e) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step && this.offered.length) {
      e.preventDefault();
      this.active = (this.active + step + this.offered.length) % this.offered.length;
      this.mark();
    } else if (e.key === "Enter") {
      e.preventDefault();
      this.take(this.active);
    } else if (e.key === "Escape" && !this.list.hidden) {
      e.stopPropagation();
      this.close();
    }
  }
}
