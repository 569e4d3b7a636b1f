"""What only the book needs: results, claims and their tests, and the experiments around the method."""

import warnings

# tqdm, imported by torch, asks for notebook widgets; the book does without progress bars
warnings.filterwarnings("ignore", message="IProgress not found")
