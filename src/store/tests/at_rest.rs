//! What a copied database says.
