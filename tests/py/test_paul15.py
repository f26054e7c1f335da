"""What the map of a real differentiation says: blood progenitors (Paul et al. 2015), from stem-like cells to erythroid and to monocyte cells."""
import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr


@pytest.fixture(scope="module")
def run(isolario, paul15, tmp_path_factory):
    run = tmp_path_factory.mktemp("paul15") / "run"
    isolario("fit", paul15, "-o", run, "--labels-key", "cluster", "--quiet")
    return run


@pytest.fixture(scope="module")
def cluster(paul15):
    return anndata.read_h5ad(paul15).obs["cluster"].to_numpy().astype(str)


def walk(isolario, run, folder, start, end):
    """Expression along the path (genes x 21 points), and each cell's position."""
    isolario("path", run, "--key", "cluster", "--from", start, "--to", end, "--steps", "21", "--positions", folder / "where.tsv", "-o", folder / "path.tsv",
             "--force", "--quiet")
    return pd.read_csv(folder / "path.tsv", sep="\t", index_col=0), pd.read_csv(folder / "where.tsv", sep="\t", index_col=0)["position"].to_numpy()


@pytest.mark.parametrize("start, end, order, up, down", [
    ("7MEP", "1Ery", ["7MEP", "6Ery", "5Ery", "4Ery", "3Ery", "2Ery", "1Ery"], ["Klf1", "Hba-a2", "Car2"], ["Mpo", "Elane", "Gata2"]),
    ("9GMP", "15Mo", ["9GMP", "10GMP", "14Mo", "15Mo"], ["Mpo", "Elane"], ["Gata1", "Klf1", "Gata2"]),
    ("7MEP", "15Mo", ["7MEP", "9GMP", "10GMP", "14Mo", "15Mo"], ["Mpo", "Elane", "Irf8"], ["Gata1", "Klf1", "Gata2"]),
], ids=["erythroid", "monocyte", "stem-like to monocyte"])
def test_path(isolario, run, cluster, tmp_path, start, end, order, up, down):
    genes, position = walk(isolario, run, tmp_path, start, end)
    medians = [np.median(position[cluster == name]) for name in order]
    assert spearmanr(medians, range(len(order)))[0] >= 0.95, medians
    for gene in up:
        assert genes.loc[gene].iloc[-1] > 1.4 * genes.loc[gene].iloc[0] and spearmanr(genes.loc[gene], range(21))[0] > 0.5, gene
    for gene in down:
        assert genes.loc[gene].iloc[-1] < 0.7 * genes.loc[gene].iloc[0] and spearmanr(genes.loc[gene], range(21))[0] < -0.5, gene


def test_places(isolario, run):
    rows = [line.split("\t") for line in isolario("voids", run, "--key", "cluster", "--quiet").stdout.splitlines()[3:]]
    assert [row[5] for row in rows if row[0] == "origin"] == ["yes"]
    assert {row[6] for row in rows if row[0] == "prototype"} == {"observed"}
