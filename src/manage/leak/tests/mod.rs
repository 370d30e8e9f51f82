mod identify;
mod revoke_many;
mod scan;
