/* commands.c: the table of commands, and how one is run. Help, documentation and dispatch all come from the rows.
 * Details: one paragraph a line; a line with a tab is "term<TAB>what it is". Examples: one a line. */
#include "commands.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct command {
    iso_command_info info;
    iso_command_fn *run;
} command;

static const command rows[] = {
    {{
         .name = "fit",
         .group = "Train",
         .usage = "CELLS [-o run]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "train a variational autoencoder on cells, and map them",
         .details =
             "Reads CELLS (AnnData .h5ad, 10x .h5, or a folder with matrix.mtx; told apart by content), trains, and "
             "writes a run folder, by default \"run\". Genes are taken as they are: choose them before, if you want "
             "fewer. A run that exists is refused without --force. On the first interrupt training stops, what "
             "was reached is saved, and the exit status is 130.\n"
             "model.safetensors\tthe model: all that the other commands need\n"
             "latent.h5ad\tthe cells, without their counts: all of their obs, leiden, isolario_split, continent (see \"map\"), "
             "is_prototype (the cell nearest to its group's prototype), log_density and p_value (see \"anomaly\"; a training cell does not "
             "vouch for itself), mixture_group, mixture_weight, mixture_fit, mixture_depth (of more than 20,000 cells: of 20,000, evenly spaced); obsm X_isolario (posterior "
             "means), X_isolario_var (posterior variances), X_isolario_invariant (of images, see \"embed\": neighbours, clusters and X_umap are made of it), X_umap; obsp connectivities and distances; uns neighbors "
             "and "
             "isolario (options, provenance, verdict)\n"
             "groups.safetensors, heads.safetensors\tprofiles of the groups, and more decoders (--n-heads), for what \"voids\" and \"path\" say\n"
             "rules.tsv\tpairs of genes that exclude each other in these cells (see \"voids\"); add your own\n"
             "report.html\tthe report: map, training curves, verdict on the latent space; one file, opens anywhere\n"
             "run.json\toptions, versions, input, timings and results, for programs\n"
             "log.txt\tone line per epoch, written while it trains\n"
             "ELBO, KL and log-likelihoods are in nats per cell, all constants included; higher ELBO is better. "
             "Cells with \"test\" in the column --split-key are scored as the test set.",
         .examples = "fit cells.h5ad -o run\n"
                     "fit cells.h5ad -o run --batch-key donor --labels-key cell_type --likelihood zinb --seed 1",
     },
     iso_cmd_fit},
    {{
         .name = "compare",
         .group = "Train",
         .usage = "CELLS [-o table.tsv]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "train, and set the model beside simpler ones on the same cells",
         .details =
             "Trains three models of the same cells with the same options, a variational autoencoder (vae), a plain "
             "autoencoder (ae: sigma = 0, no KL) and principal components (pca) of log1p counts per 10,000, all with "
             "--n-latent dimensions, and sets them side by side on held-out cells (--split-key, or else the validation "
             "cells). Tab-separated text, one line a model, to standard output or to -o.\n"
             "elbo, log_p, reconstruction\tmean of held-out cells, nats per cell, in the model's own likelihood; empty "
             "where a model has none\n"
             "poisson_deviance_explained, mse_log1p\treconstruction in two yardsticks that all models can be held to: "
             "share of the deviance of counts under a Poisson law with the decoded mean; squared error of log1p counts "
             "per 10,000\n"
             "knn_accuracy\tshare of held-out cells that the majority of their 15 nearest training cells gives the "
             "right --labels-key\n"
             "ari, nmi\tagreement of Leiden clusters (best of several resolutions) with --labels-key, on held-out "
             "cells\n"
             "realism_auc, realism_floor\thow well a classifier tells generated cells from held-out ones, and "
             "training cells from held-out ones: 0.5 is not at all. The autoencoder has no prior: its z come from a "
             "normal law fitted to its codes\n"
             "halfway_to_mean, halfway_to_nearest, halfway_nearest\twhat the point halfway between the two largest "
             "groups "
             "(of --labels-key, else of clusters) decodes to: correlation with the average of the two groups' means, "
             "with "
             "the mean of the group most like it, and that group's name\n"
             "seconds\ttime to train\n"
             "Of images, it trains one model a likelihood (--dialects), a plain autoencoder and principal components, and besides the table writes "
             "a page (--report) that shows the same held-out images by each of them. Columns then are\n"
             "bits_per_dim\theld-out -ELBO in bits a pixel and channel; comparable within a likelihood alone\n"
             "psnr, ssim\tof reconstructions; the range is what the model takes for 0 to 1\n"
             "power_low, power_middle, power_high\tpower of reconstructions at 0.05 to 0.1, 0.2 to 0.25 and 0.35 to 0.4 cycles a pixel, over that of the "
             "images; generated_*: of generated images\n"
             "frechet, frechet_floor\tdistance of random features of generated, and of training images, from those of held-out ones\n"
             "knn_accuracy, linear_probe\thow well the latent space tells --labels-key: 15 neighbours, a linear rule; 5 folds",
         .examples = "compare cells.h5ad --labels-key cell_type -o table.tsv\n"
                     "compare images/ --labels labels.csv --labels-key class -o table.tsv --report dialects.html",
     },
     iso_cmd_compare},
    {{
         .name = "embed",
         .group = "Use a model",
         .usage = "RUN CELLS [-o embedded.h5ad]",
         .min_inputs = 2,
         .max_inputs = 2,
         .summary = "place new cells in a trained latent space",
         .details =
             "RUN is a run folder or a model.safetensors. Genes are matched by name; those that CELLS lacks count as "
             "0, "
             "and how many is said. Nothing is trained. Writes an .h5ad, by default \"embedded.h5ad\", with obs of "
             "CELLS and\n"
             "obsm X_isolario\tposterior means\n"
             "obsm X_isolario_var\tposterior variances\n"
             "obsm X_isolario_invariant\tof images, unless trained with --no-augment: mean of the posterior means over all ways to turn and flip the image; best for neighbours and classes, while X_isolario, of one attitude, decodes to the cell",
         .examples = "embed run new_cells.h5ad -o embedded.h5ad",
     },
     iso_cmd_embed},
    {{
         .name = "score",
         .group = "Use a model",
         .usage = "RUN CELLS [-o -]",
         .min_inputs = 2,
         .max_inputs = 2,
         .summary = "how likely each cell is under a model",
         .details =
             "RUN is a run folder or a model.safetensors. Writes one line per cell, tab-separated, with a heading, to "
             "standard output or to -o. All values are in nats per cell with all constants included: they can be "
             "compared between models of the same counts.\n"
             "cell\tname of the cell\n"
             "elbo\tevidence lower bound, mean of --n-draws draws\n"
             "log_p\tlog p(x), estimated with --n-samples importance samples; empty with 0, nan for images with a grid of details\n"
             "reconstruction\tmean log p(x|z) over the draws",
         .examples = "score run cells.h5ad -o scores.tsv\n"
                     "score run cells.h5ad --n-samples 1000 | sort -k3,3g | head",
     },
     iso_cmd_score},
    {{
         .name = "sample",
         .group = "Use a model",
         .usage = "RUN [CELLS] [-n 1000] [-o samples.h5ad]",
         .min_inputs = 1,
         .max_inputs = 2,
         .summary = "generate cells that never were",
         .details =
             "RUN is a run folder or a model.safetensors. Draws latent positions from where the training cells are (the "
             "aggregated posterior: a cell at random, then a point of its cloud), or with --source prior, or from a model "
             "alone, from N(0, I), of which much may lie in voids (see \"voids\"); then counts from the "
             "decoder's law, with library sizes from a log-normal law fitted to the training cells; each category of a "
             "covariate is equally likely. Writes an .h5ad, by default \"samples.h5ad\": counts in X, latent positions "
             "in obsm X_isolario, library size and categories in obs.\n"
             "Says also how such cells stand against held-out ones, beside what real training cells reach: a classifier that tells them "
             "apart, genes' means, deviations and zeros, co-expression. CELLS are the run's cells with their counts, by default the file "
             "that it was made of.",
         .examples = "sample run -n 5000 --seed 7 -o samples.h5ad",
     },
     iso_cmd_sample},
    {{
         .name = "prototype",
         .group = "Use a model",
         .usage = "RUN [--key leiden] [-o -]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "the typical cell of each group",
         .details = "RUN is a run folder. Decodes z = 0 and the typical cell of each group of --key: the peak of a smooth "
                    "density of its training cells. Names the nearest real cell of each, and whether cells are there at "
                    "all (see \"voids\"). Writes one line per gene, tab-separated, with a heading, to standard output or to -o.\n"
                    "gene\tname of the gene\n"
                    "origin\twhat z = 0 decodes to: the average of all cells, which need not look like any cell\n"
                    "one column per group\tshare of a cell's counts that falls on the gene (sums to 1 over genes); for "
                    "Gaussian models the mean",
         .examples = "prototype run --key cell_type -o prototypes.tsv",
     },
     iso_cmd_prototype},
    {{
         .name = "path",
         .group = "Use a model",
         .usage = "RUN --from A --to B [--key leiden] [-o -]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "expression along a path between two groups or cells",
         .details =
             "RUN is a run folder. --from and --to each name a group of --key, which stands for its prototype, or a cell. "
             "The path runs along the data: from cell to cell, where what they decode to differs least and cells are "
             "near; or, with --route straight, straight through the latent space. Which share of it lies in voids, where no "
             "cell was seen, is said, and under 95 % of support you are warned not to read it as a trajectory. "
             "Writes one line per gene, tab-separated, with a heading, to standard output or to -o.\n"
             "gene\tname of the gene\n"
             "0 to 1\tone column for each of --steps points, named by how far along the path it is: share of a cell's "
             "counts that falls on the gene; for Gaussian models the mean\n"
             "With --positions, where each cell of the run is along the path: a pseudotime, as good as the path. With --spread, a table like the first of how "
             "much the decoders of the run differ (its heads, see \"fit\"): a band of x exp(-2 s) to x exp(2 s) about each x.",
         .examples = "path run --key cell_type --from HSC --to Erythroid --steps 40 -o path.tsv",
     },
     iso_cmd_path},
    {{
         .name = "anomaly",
         .group = "Use a model",
         .usage = "RUN CELLS [-o -]",
         .min_inputs = 2,
         .max_inputs = 2,
         .summary = "how far each cell lies from where a run's cells are",
         .details =
             "RUN is a run folder, of healthy or otherwise known cells; CELLS are placed in its latent space and held "
             "against the density of its training cells. Low density says \"not seen there\", whatever the reason: "
             "a new state, but also another protocol. Tab-separated text, one line a cell, with a heading, to standard "
             "output or to -o.\n"
             "cell\tname of the cell\n"
             "log_density\tlog of the aggregated posterior of the training cells at the cell's posterior mean\n"
             "p_value\tshare of the run's held-out cells of the same batch that lie as low; uniform for cells like them\n"
             "fdr\tthe same, adjusted for the number of cells (Benjamini & Hochberg 1995)\n"
             "mixture_weight, mixture_fit\tthe cell as a non-negative mixture of the run's groups (--labels-key of fit, else "
             "clusters): the second largest share, and how well the mixture fits; empty for runs without a map or "
             "counts\n"
             "class\tnever observed: no mixture of groups fits as well as it does for 99 % of the run's cells of its depth; chimera: one "
             "fits, and its second share is larger than theirs (a doublet, or a state between groups); else known\n"
             "elbo, elbo_p\tof images, in place of the mixture: the ELBO, and the share of the run's held-out images with one as low\n"
             "unexplained, unexplained_p\tof images: the share of the image's variance that its place in the latent space does not explain, "
             "without the grid of details; and the share of held-out images with one as large\n"
             "anomaly_p\tof images: three times the least of p_value, elbo_p and unexplained_p; fdr is of these; class is never observed at "
             "0.05 and below, else known",
         .examples = "anomaly healthy_run patients.h5ad -o anomaly.tsv",
     },
     iso_cmd_anomaly},
    {{
         .name = "map",
         .group = "Use a model",
         .usage = "RUN [CELLS] [--key continent] [-o -]",
         .min_inputs = 1,
         .max_inputs = 2,
         .summary = "the continents of a latent space, and the genes that mark them",
         .details =
             "RUN is a run folder. Lists its groups: without --key the continents, hills of the cells' density that stand higher above their "
             "saddles than the second hill of one normal cloud does by chance. CELLS are the run's cells with their counts, by default "
             "the file that it was made of. Tab-separated text, one line a group, with a heading, to standard output or to -o.\n"
             "group, cells\tname and size\n"
             "nearest_cell\tthe real cell nearest to the group's prototype (see \"prototype\")\n"
             "log_density, p_value, class\tof the prototype, as for voids\n"
             "markers_observed\tthe five genes whose mean differs most from that of the other cells, in standard deviations of log1p "
             "counts per 10,000; empty without counts\n"
             "markers_decoded\tthe five with the largest log2 ratio of what the prototype decodes to and the mean of the other prototypes",
         .examples = "map run\n"
                     "map run --key cell_type -o map.tsv",
     },
     iso_cmd_map},
    {{
         .name = "voids",
         .group = "Use a model",
         .usage = "RUN [--key leiden] [-o -]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "which places of a latent space lie where no cells are",
         .details =
             "RUN is a run folder. Holds notable places against the density of the training cells, and says which lie in "
             "voids: at a density that fewer than 5 % of held-out cells have. A void was never observed in these data; "
             "that alone does not make it impossible. Two lines of comment, the second with the share of samples of the "
             "prior N(0, I) that lie in voids, then tab-separated text with a heading, to standard output or to -o.\n"
             "place\torigin (z = 0), prototype (of a group of --key, see \"prototype\"), group (its mean), or halfway (between "
             "the means of two of the first 60 groups)\n"
             "name, other\tthe group, or the two; for a prototype, the nearest cell\n"
             "log_density, p_value, void\tas for anomaly; void is yes at p_value 0.05 or less\n"
             "class\tobserved, or what kind of void: chimera: what the place decodes to is a mixture of two groups as no 5 % of held-out "
             "cells are, and fits as well as they do; contradicts a rule: it has more of two genes that exclude each other than "
             "held-out cells have; else never observed\n"
             "disagreement, uncertain\thow much the decoders of the run differ there, as the standard deviation of log shares, its mean over a cell's "
             "counts; uncertain is yes where that is more than for 99 % of held-out cells: what is decoded there is not known; empty for a run without heads\n"
             "evidence\tthe two largest shares of the mixture of groups that explains what the place decodes to, and how well it "
             "fits; the two genes of the rule\n"
             "Rules are pairs of genes: those in RUN/rules.tsv, which fit learned from the counts (marker genes that fewer "
             "than a quarter of the expected number of cells have together, p <= 0.01 after Bonferroni) and you may edit, and those of "
             "--rules.",
         .examples = "voids run --key cell_type",
     },
     iso_cmd_voids},
    {{
         .name = "explore",
         .group = "Use a model",
         .usage = "RUN [CELLS] [-o map.html | -o map/]",
         .min_inputs = 1,
         .max_inputs = 2,
         .summary = "walk through a run's map in the browser",
         .details =
             "RUN is a run folder. Serves a page on this machine alone, says where, and opens the browser; Ctrl-C ends it. The page "
             "decodes any place under the pointer, says whether cells support it and what it is if they do not (see \"voids\"), and "
             "leads along the data from place to place. CELLS are the cells of the run with their counts or images, by default the "
             "file that it was made of; without them genes are shown as decoded alone, and cells without their images. What the files hold: docs/EXPLORER.md.\n"
             "-o map.html\tone file that opens anywhere, without a server\n"
             "-o map/\ta folder for any web server, with one small file a gene, for many cells",
         .examples = "explore run\n"
                     "explore run cells.h5ad --key cell_type -o map.html",
     },
     iso_cmd_explore},
    {{
         .name = "annotate",
         .group = "Use a model",
         .usage = "CELLS.h5ad SELECTIONS.csv [-o annotated.h5ad]",
         .min_inputs = 2,
         .max_inputs = 2,
         .summary = "bring selections made in the explorer back into an h5ad",
         .details =
             "Copies CELLS.h5ad, with all that is in it, to -o, by default \"annotated.h5ad\", and adds a column of categories to obs, "
             "named by --column. The latent.h5ad of a run will do too. CELLS.h5ad itself is never changed. SELECTIONS.csv is what \"Save cells\" on "
             "the page of \"explore\" gave, or any table with a heading, comma- or tab-separated, with the columns \"cell\" and \"selection\", or with two "
             "columns, names of cells first.\n"
             "Cells without a selection, and those that the table does not name, are missing. A cell in several selections has all of their names, "
             "\"A;B\", and these are a category of their own.",
         .examples = "annotate cells.h5ad selections.csv -o annotated.h5ad\n"
                     "annotate run/latent.h5ad selections.csv --column niche -o annotated.h5ad",
     },
     iso_cmd_annotate},
    {{
         .name = "reconstruct",
         .group = "Images",
         .usage = "RUN IMAGES [-o reconstructed.npz | -o sheet.png | -o folder]",
         .min_inputs = 2,
         .max_inputs = 2,
         .summary = "decode images again, without their noise",
         .details = "Each image from the means of its posterior, in the units of the files. With -o ending in .npz an archive (images, name, latent, "
                    "channel_names), in .png one sheet to look at, else a new folder with one OME-TIFF an image.",
         .examples = "reconstruct run cells.npz -o reconstructed.npz\n"
                     "reconstruct run cells/ -o sheet.png",
     },
     iso_cmd_reconstruct},
    {{
         .name = "crops",
         .group = "Images",
         .usage = "IMAGES [--masks MASKS] [-o crops.npz]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "cut whole fields into one image a cell",
         .details =
             "IMAGES is a file, or a folder of files: TIFF (8, 16, 32 bits, float; pages, OME-TIFF, ImageJ), PNG, .npy or "
             ".npz. Cells are those of MASKS, a file or folder in which 0 is the background and 1, 2, ... are cells, told by "
             "their names (field_masks.tif for field.tif or field_img.tif; also _mask, _labels, _label, _seg; such files in "
             "IMAGES are no fields). Without masks, nuclei are found in --channel: smoothed, above Otsu's threshold, cut apart "
             "by a watershed where they touch.\n"
             "Each crop is the square of --size pixels around the mean of its cell's pixels, all channels, with whatever "
             "neighbours lie in it. Where it reaches beyond the border of the field, pixels are mirrored. Cells that touch the "
             "border are not whole, and are left out unless --edge keep.\n"
             "With -o ending in .npz, by default \"crops.npz\": one archive, and its table as text beside it (crops.csv). Else "
             "a new folder with one OME-TIFF a cell, and cells.csv.\n"
             "images\tcells x channels x size x size, numbers as in the fields\n"
             "masks\tcells x size x size: 1 where the cell itself is\n"
             "name, field, label, x, y, area\tof each cell: its name, file, number in the mask, mean column and row (from 0) and number of pixels\n"
             "mean_CHANNEL\tmean value of its pixels, one for each channel\n"
             "channel_names\tfrom the OME-XML, else 0, 1, ...",
         .examples = "crops fields/ --masks masks/ -o crops.npz\n"
                     "crops plate.ome.tif --channel DNA --size 96 --smooth 2 -o crops.npz",
     },
     iso_cmd_crops},
    {{
         .name = "simulate",
         .group = "Images",
         .usage = "cells [-n N] [-o cells.npz | -o folder]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "synthetic fluorescent cells whose truth is known",
         .details = "Cells with a nucleus, a membrane and mitochondria of three morphologies (fragmented, tubular, network), seen through a point-spread "
                    "function and counted as photons. The same seed makes the same cells.\n"
                    "-o cells.npz\tone archive: images (as counted), clean (expected photons), channel_names, name, label (the morphology), area, angle, "
                    "filaments, length; and a table beside it\n"
                    "-o folder\tan OME-TIFF a cell, and labels.csv",
         .examples = "simulate cells -n 3000 -o cells.npz\n"
                     "simulate cells -n 500 --size 32 --photons 40 --separate -o cells",
     },
     iso_cmd_simulate},
    {{
         .name = "info",
         .group = "Look",
         .usage = "MODEL|RUN|CELLS [-o -]",
         .min_inputs = 1,
         .max_inputs = 1,
         .summary = "what a model, a run or a file of cells holds",
         .details =
             "Reads a model.safetensors, a run folder, or cells in any format that \"fit\" reads, and prints what it "
             "is: for cells their number, genes, where the counts were found, and the annotations; for a model its "
             "architecture, training, verdict and provenance. Text to standard output or to -o.",
         .examples = "info cells.h5ad\n"
                     "info run",
     },
     iso_cmd_info},
    {{
         .name = "bench",
         .group = "Look",
         .usage = "step [CELLS] | ops [-o -]",
         .min_inputs = 1,
         .max_inputs = 2,
         .summary = "where the time of training goes on this machine",
         .details =
             "Tab-separated text with a heading, to standard output or to -o. Takes the options of \"fit\" that shape "
             "the model and its minibatches.\n"
             "step\tone training step, part by part, in milliseconds: the mean of 50 on CELLS (counts or images), or on "
             "made-up cells with --n-genes genes of which 7 % are not zero\n"
             "ops\teach kernel on one thread: its time, that of the plain C build that it is tested against, and what "
             "share it reaches of this machine's roofline (the rate of a large product, and of a large copy)",
         .examples = "bench step --n-genes 20000 --likelihood zinb --batch-size 512\n"
                     "bench step cells.h5ad\n"
                     "bench ops",
     },
     iso_cmd_bench},
};
enum { N_COMMANDS = sizeof rows / sizeof rows[0] };

const iso_command_info *iso_command_row(int i) { return i >= 0 && i < N_COMMANDS ? &rows[i].info : NULL; }

static const char *next_name(const void *arg, int i)
{
    (void)arg;
    return i < N_COMMANDS ? rows[i].info.name : NULL;
}

/* Whether `name` is one of the space-separated `words`, or these are "*". */
static bool takes(const char *words, const char *name)
{
    size_t n = strlen(name);
    if (strcmp(words, "*") == 0) return true;
    for (const char *w = words; *w; w += strspn(w, " ")) {
        size_t length = strcspn(w, " ");
        if (length == n && strncmp(w, name, n) == 0) return true;
        w += length;
    }
    return false;
}

static iso_status find(const char *name, const command **out, iso_error *err)
{
    for (int i = 0; i < N_COMMANDS; i++) {
        *out = &rows[i];
        if (strcmp(rows[i].info.name, name) == 0) return ISO_OK;
    }
    const char *near = iso_nearest(name, next_name, NULL);
    if (near) return iso_fail(err, ISO_EUSAGE, "unknown command \"%s\"; did you mean \"%s\"?", name, near);
    return iso_fail(err, ISO_EUSAGE, "unknown command \"%s\"; \"isolario help\" lists those there are", name);
}

/* "512M" -> bytes; -1: not a size. */
static int64_t size_of_text(const char *text)
{
    static const char units[] = "KMGT";
    char *end;
    double n = strtod(text, &end);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (end == text || !(n > 0) || (*end && !unit) || (unit && end[1] && strcasecmp(end + 1, "B") != 0)) return -1;
    for (const char *u = units; unit && u <= unit; u++) n *= 1024;
    return n < 1e18 ? (int64_t)n : -1;
}

/* Data may be larger than --memory; the program and a model need some. */
static iso_status limit_memory(const iso_options *o, iso_error *err)
{
    enum { LEAST_MIB = 128 };
    const char *text = iso_opt_text(o, "memory");
    int64_t bytes = text ? size_of_text(text) : 0;
    if (bytes < 0) return iso_fail(err, ISO_EUSAGE, "--memory %s is not a size; write 512M or 8G", text);
    if (text && bytes < (int64_t)LEAST_MIB << 20)
        return iso_fail(err, ISO_EUSAGE, "--memory %s is too little; at least %dM", text, LEAST_MIB);
    iso_set_memory_limit(bytes);
    return ISO_OK;
}

iso_status iso_command_run(iso_env *env, const char *name, const iso_options *o, const char *command_line,
                           iso_error *err)
{
    iso_status st = ISO_OK;
    const command *c = NULL;
    TRY(find(name, &c, err));
    const iso_option_info *row;
    for (int i = 0; (row = iso_option_row(i)); i++)
        FAIL_IF(iso_options_given(o, row->name) && !takes(row->commands, name), ISO_EUSAGE,
                "the command %s takes no option \"%s\"; those that do: %s", name, row->name, row->commands);
    int n = iso_opt_list_n(o, "inputs");
    FAIL_IF(n < c->info.min_inputs || n > c->info.max_inputs, ISO_EUSAGE, "%s takes %d argument%s, not %d: %s %s",
            name, c->info.max_inputs, c->info.max_inputs == 1 ? "" : "s", n, name, c->info.usage);
    TRY(limit_memory(o, err));
    TRY(c->run(env, o, command_line, err));
done:
    return st;
}
