/* export.js: tables as CSV files, made in the page. */

function csvField(value) {
  const text = typeof value === "number" ? (Number.isFinite(value) ? String(+value.toPrecision(7)) : "") : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = (rows) => rows.map((row) => Array.from(row, csvField).join(",") + "\n").join("");

function save(name, rows) {
  const link = make("a", { href: URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" })), download: name.replace(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
