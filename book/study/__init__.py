"""What only the book needs: results, claims and their tests, and the experiments around the method."""
