/* export.js: files made in the page: tables as CSV, images as PNG. */

function csvField(value) {
  const text = typeof value === "number" ? (Number.isFinite(value) ? String(+value.toPrecision(7)) : "") : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = (rows) => rows.map((row) => Array.from(row, csvField).join(",") + "\n").join("");

function saveBlob(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name.replace(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const save = (name, rows) => saveBlob(name, new Blob([csv(rows)], { type: "text/csv" }));
