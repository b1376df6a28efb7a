"""Latent factors: the probabilistic model behind principal components."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from lifelong.recipe import Number


class FactorModel(eqx.Module):
    """x = mean + B z + √noise · ε with z ~ N(0, I_r) and ε ~ N(0, I_d)."""

    loadings: Float[Array, "d r"]
    mean: Float[Array, " d"]
    noise: Number

    @property
    def reading(self) -> Float[Array, "r d"]:
        """(BᵀB + noise · I)⁻¹ Bᵀ, the matrix that reads factors from centred inputs."""
        inner = self.loadings.T @ self.loadings + self.noise * jnp.eye(self.loadings.shape[1])
        return jnp.linalg.solve(inner, self.loadings.T)

    @property
    def covariance(self) -> Float[Array, "d d"]:
        """B Bᵀ + noise · I."""
        return self.loadings @ self.loadings.T + self.noise * jnp.eye(len(self.mean))

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n r"]:
        """Return the posterior means E[z | x]."""
        return (x - self.mean) @ self.reading.T


def fit_factors(
    mean: Float[Array, " d"], covariance: Float[Array, "d d"], rank: int, noise: Number | None = None
) -> FactorModel:
    """Return the factors of largest likelihood: B = U_r (Λ_r − noise)^½, of the leading eigenvectors U_r and eigenvalues Λ_r.

    Where `noise` is not known it is the mean of the other eigenvalues. B is unique up to a rotation of the factors (Tipping
    and Bishop 1999, "Probabilistic Principal Component Analysis", section 3.2).
    """
    values, vectors = jnp.linalg.eigh(covariance)
    sigma2 = values[: len(values) - rank].mean() if noise is None else jnp.asarray(noise, values.dtype)
    top = jnp.sqrt(jnp.maximum(values[-rank:] - sigma2, 0.0))
    return FactorModel(vectors[:, -rank:] * top, mean, sigma2)
